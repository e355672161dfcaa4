"""What every section of RESULTS.md says of its run: when, where, how often, and with which versions."""

from collections.abc import Iterator

from bench.rows import Run

_BUSY_LOAD = 0.7


def head(run: Run) -> str:
    size = "A SMALL RUN, to show that everything works: its figures mean nothing.\n\n" if run.small else ""
    busy = ", SO OTHERS WERE AT WORK, or had just been: see the spread" if run.load > _BUSY_LOAD else ""
    absent = "".join(f"\n- {name} could not be installed: {why}" for name, why in sorted(run.absent.items()))
    return (
        f"{size}{run.day}, on {run.machine}; load before it {run.load:.1f}{busy}. {run.repeats} interleaved "
        f"{'repeat' if run.repeats == 1 else 'repeats'}: shown are the median and, in brackets, the least and the most "
        f"of them.{chr(10) if absent else ''}{absent}"
    )


def versions(run: Run) -> str:
    return "\n".join(["### Versions", "", *_version_lines(run)])


def _version_lines(run: Run) -> Iterator[str]:
    for name, packages in run.versions.items():
        shown = ", ".join(f"{package} {version}" for package, version in packages.items())
        yield f"- {name}: {shown or 'nothing installed'}"
