"""The section as it is written: what failed and who is absent is said, and nothing is left out."""

from dataclasses import replace

from bench import contender, queue_report
from bench.measurements import BY_NAME
from bench.queue_tables import TABLES
from bench.rows import Row, Run
from bench.targets import TARGETS

CONTENDERS = {one.name: one for one in contender.everyone()}
RUN = Run("2026-01-31", "2 × CPU", 0.1, 3, False, {"arq": {"arq": "0.28.0"}}, {"bullmq": "npm is not here"})


def drained(contender: str, repeat: int, rate: float) -> Row:
    return Row("drain", contender, "drain", repeat, {"rate": rate, "slots": 100})


def test_median_and_spread_of_the_repeats() -> None:
    rows = [drained("arq", repeat, rate) for repeat, rate in ((1, 1400.0), (2, 1000.0), (3, 1500.0))]
    assert "| 1,400 (1,000–1,500) |" in queue_report.render(RUN, rows, CONTENDERS)


def test_a_failure_is_shown_with_its_reason() -> None:
    rows = [drained("arq", 1, 1400.0), Row("drain", "arq", "drain", 2, error="RuntimeError: it broke")]
    text = queue_report.render(RUN, rows, CONTENDERS)
    assert "- arq (drain), repeat 2: RuntimeError: it broke" in text
    assert "| 1 of 2 |" in text


def test_what_failed_every_time_stays_in_the_table() -> None:
    text = queue_report.render(RUN, [Row("drain", "saq", "drain", 1, error="gone")], CONTENDERS)
    assert "| saq |" in text
    assert "| failed |" in text


def test_a_busy_machine_is_owned_up_to() -> None:
    assert "OTHERS WERE AT WORK" in queue_report.render(replace(RUN, load=1.5), [], CONTENDERS)
    assert "OTHERS WERE AT WORK" not in queue_report.render(RUN, [], CONTENDERS)


def test_absent_peers_are_named() -> None:
    assert "bullmq could not be installed: npm is not here" in queue_report.render(RUN, [], CONTENDERS)


def test_a_second_start_that_never_came_misses_its_target() -> None:
    row = Row("crash", "sluice", "default", 1, {"recovered_s": None, "cap_s": 60.0})
    text = queue_report.render(RUN, [row], CONTENDERS)
    assert "| > 60 |" in text
    assert "as shipped | never | ≤ 20 s | ≤ 5 s | missed |" in text


def test_a_target_is_not_met_by_the_repeats_that_went_well() -> None:
    good = Row("waiting", "sluice", "default", 1, {"redis_kb": 1.0})
    bad = [Row("waiting", "sluice", "default", repeat, error="broke") for repeat in (2, 3)]
    assert "1 KB input | never | ≤ 4 KB | ≤ 2.5 KB | missed |" in queue_report.render(RUN, [good, *bad], CONTENDERS)


def test_the_best_peer_is_measured_against_in_its_best_settings() -> None:
    rows = [drained("arq", 1, 1000.0), drained("saq", 1, 1700.0), drained("bullmq", 1, 9000.0)]
    met = queue_report.render(RUN, [*rows, drained("sluice", 1, 3400.0)], CONTENDERS)
    missed = queue_report.render(RUN, [*rows, drained("sluice", 1, 1699.0)], CONTENDERS)
    assert "3,400 /s | ≥ the best Python peer | ≥ 2 × the best Python peer | goal met |" in met
    assert "1,699 /s | ≥ the best Python peer | ≥ 2 × the best Python peer | missed |" in missed


def test_tables_and_targets_speak_of_measurements_that_there_are() -> None:
    spoken_of = {name for table in TABLES for name in table.measurements}
    assert spoken_of == set(BY_NAME)
    assert {target.measurement for target in TARGETS} <= set(BY_NAME)
    assert {target.contender for target in TARGETS} <= set(CONTENDERS)


def test_every_peer_pins_what_it_names() -> None:
    for one in CONTENDERS.values():
        if one.software.environment and one.software.language == "python":
            pins = (one.software.folder / "requirements.txt").read_text()
            for package in one.software.packages:
                assert f"{package}==" in pins or f"{package}[redis]==" in pins, (one.name, package)
