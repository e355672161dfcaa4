"""What a run tells: a page that depends on nothing but the run, and on failure the whole story of the job."""

from tests.faults.chaos.evidence import Evidence
from tests.faults.chaos.promises import judge
from tests.faults.chaos.report import Outcome, complaints, table
from tests.faults.chaos.test_promises import JOB, intact, paid_twice


def outcome(evidence: Evidence) -> Outcome:
    return Outcome(7, 1, 4, {"link cut": 2}, evidence, judge(evidence), seconds=12.5)


def test_the_page_of_a_good_run() -> None:
    good = outcome(intact())
    assert good.kept
    page = table(good)
    assert "make faults SEED=7 JOBS=1`" in page
    assert "Every promise was kept" in page
    assert "| link cut | 2 |" in page
    assert "| irreversible tools run more than once | 0 | kept |" in page
    assert "12.5" not in page, "how long it took is no part of the page"


def test_a_broken_promise_is_told_with_its_story() -> None:
    evidence = intact()
    paid_twice(evidence)
    evidence.endings[1].log.append({"event": "job_finished", "job": JOB})
    evidence.exhibits[0].calls = [
        {"number": 1, "started": 0, "finished": 1, "messages": 1, "status": 200, "completed": True, "fault": None}
        | {"client_gone": False}
    ] * 4
    bad = outcome(evidence)
    assert not bad.kept
    assert "| irreversible tools run more than once | 1 | **broken** |" in table(bad)
    told = complaints(bad)
    assert "pay 1.1 was done 2 times" in told
    assert f"the story of {JOB}" in told
    assert '"kind": "model"' in told
    assert "worker 1.2: " in told
    assert "job_finished" in told
