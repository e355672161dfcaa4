"""`python -m tests.faults.points`: a death at every point, and the table in docs/durability.md. Exit code 0 only if
every promise was kept."""

import sys

from tests.faults.points.cases import CAREFUL, Case, Sight, table
from tests.faults.points.page import write
from tests.faults.points.run import shooting_range


def main() -> int:
    sights: dict[tuple[str, str], Sight] = {}
    with shooting_range(workers=10) as place:
        points = place.points()
        cases = [Case.of(tool, point) for tool in CAREFUL for point in ["", *points[tool]]]
        print(f"{sum(bool(case.point) for case in cases)} deaths, each of one job at another point")
        for sight in place.shoot(cases):
            sights[sight.case.tool, sight.case.point] = sight
    complaints = [complaint for sight in sights.values() for complaint in sight.complaints()]
    page = table(sights, ["", *max(points.values(), key=len)])
    print(f"\n{page}\n")
    if complaints:
        print("\n".join(complaints), file=sys.stderr)
        return 1
    write(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
