"""The section as it is written: a table for each scenario, failures with their reasons, and honest verdicts."""

from typing import Any

from bench.gate import contenders, report, targets
from bench.gate.scenarios import BY_NAME, SCENARIOS
from bench.gate.tables import TABLES
from bench.rows import Row, Run

RUN = Run("2026-01-31", "2 × CPU", 0.1, 3, False, {"sluice": {"redis": "5.3.1"}}, {})
GOOD: dict[str, Any] = {
    "use_percent": 99.5,
    "binding": "input_tokens",
    "refused": 0,
    "refused_percent": 0.0,
    "overloaded": 0,
    "given_up": 0,
    "calls_per_s": 20.0,
    "wait_p50_s": 3.5,
    "wait_p99_s": 4.25,
    "large_p99_s": 4.5,
    "jain": None,
    "interactive_p99_s": None,
    "redis_requests": 2.9,
    "redis_ms": 0.25,
    "cpu_percent": 40.0,
}


def row(scenario: str, contender: str = "sluice", repeat: int = 1, **figures: Any) -> Row:
    return Row(scenario, contender, "default", repeat, GOOD | figures)


def line(what: str, *rows: Row) -> str:
    [found] = [one for one in targets.render(rows).splitlines() if one.startswith(f"| {what}")]
    return found


def test_a_table_has_the_rows_of_its_scenario_ours_first() -> None:
    rows = [row("saturated", "booked"), row("saturated", refused=3), row("halved", refused=7)]
    text = report.render(RUN, rows)
    assert text.count("### Saturated") == text.count("### Limits halved in mid-run") == 1
    assert "### An outage" not in text
    table = text.partition("### Saturated")[2].partition("###")[0]
    assert table.index("| sluice | 99.5 | 3 |") < table.index("| booked | 99.5 | 0 |")


def test_median_and_spread_of_the_repeats() -> None:
    rows = [row("saturated", repeat=repeat, use_percent=use) for repeat, use in ((1, 98.0), (2, 99.0), (3, 96.5))]
    assert "| sluice | 98.0 (96.5–99.0) | 0 (0–0) |" in report.render(RUN, rows)


def test_a_failure_is_shown_with_its_reason() -> None:
    rows = [row("killed"), Row("killed", "sluice", "default", 2, error="MeasurementFailed: a worker broke")]
    text = report.render(RUN, rows)
    assert "- sluice (default), repeat 2: MeasurementFailed: a worker broke" in text
    assert "| 1 of 2 |" in text


def test_fairness_is_shown_where_there_are_tenants() -> None:
    text = report.render(RUN, [row("fair", jain=0.987, interactive_p99_s=0.4), row("saturated")])
    assert text.count("Jain index |") == 1
    assert "| 0.987 | 0.40 |" in text


def test_every_contender_is_explained() -> None:
    text = report.render(RUN, [row("saturated", one.name) for one in contenders.ALL])
    for one in contenders.ALL:
        assert f"- **{one.name}**: {one.settings['default']}" in text


def test_a_small_run_has_no_verdicts() -> None:
    small = Run("2026-01-31", "2 × CPU", 0.1, 1, True, {}, {})
    assert "against the targets" not in report.render(small, [row("saturated")])
    assert "against the targets" in report.render(RUN, [row("saturated")])


def test_the_worst_scenario_decides_and_is_named() -> None:
    rows = [row("saturated"), row("halved", use_percent=96.0), row("outage", use_percent=98.0)]
    assert line("budget used", *rows).endswith("| 96.0 % (halved) | ≥ 97 % | ≥ 99 % | missed |")
    assert "| 98.0 % (outage) | ≥ 97 % | ≥ 99 % | floor met |" in line("budget used", rows[0], rows[2])
    assert "| goal met |" in line("budget used", rows[0])


def test_others_are_not_held_to_our_targets() -> None:
    assert targets.render([row("saturated", "booked")]) == ""
    assert "goal met" in line("429s, worst", row("saturated"), row("saturated", "semaphore", refused=500))


def test_429s_are_forgiven_only_where_somebody_else_takes_gulps() -> None:
    rows = [row("saturated"), row("foreign_burst", refused=3, refused_percent=0.4)]
    assert "| 0 (saturated) | ≤ 0 | ≤ 0 | goal met |" in line("429s, worst", *rows)
    assert "| 0.40 % | ≤ 0.5 % | ≤ 0 % | floor met |" in line("429s where others", *rows)
    assert "missed" in line("429s, worst", row("foreign_share", refused=1))


def test_a_target_is_not_met_by_the_repeats_that_went_well() -> None:
    broken = [Row("halved", "sluice", "default", repeat, error="broke") for repeat in (2, 3)]
    assert "| 0.0 % (halved) |" in line("budget used", row("halved"), *broken)
    assert "| never (halved) |" in line("429s, worst", row("halved"), *broken)


def test_what_was_not_measured_is_not_met() -> None:
    assert "| – | ≥ 0.95 | ≥ 0.98 | not measured |" in line("Jain", row("saturated"))


def test_tables_and_targets_speak_of_scenarios_and_figures_that_there_are() -> None:
    assert [table.title for table in TABLES] == [scenario.title for scenario in SCENARIOS]
    for target in targets.TARGETS:
        assert set(target.scenarios) <= set(BY_NAME)
        assert target.figure in GOOD
        assert target.floor.meets(target.goal.limit, None), target.what
