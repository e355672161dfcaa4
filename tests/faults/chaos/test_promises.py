"""The checks can fail: each promise complains of evidence that was doctored to break it, and of none that was not."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.usage import Usage
from tests.faults.chaos.customer import Story
from tests.faults.chaos.errands import Errand
from tests.faults.chaos.evidence import Ending, Evidence, Exhibit
from tests.faults.chaos.promises import PROMISES, judge

JOB = "job_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"
OTHER = "job_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1e"


def model(turn: int) -> dict[str, Any]:
    usage = {"input_tokens": 10, "output_tokens": 5, "model_calls": 1, "turns": 1, "cost_nano": 2_000}
    return {"kind": "model", "turn": turn, "usage": usage}


def receipt(turn: int) -> dict[str, Any]:
    return {"kind": "result", "turn": turn, "tool_use_id": f"t{turn}", "content": "1.1 is paid", "is_error": False}


def call() -> dict[str, Any]:
    return {"completed": True, "fault": None}


def intact() -> Evidence:
    """One job that went as it should, with a death on the way and a payment made."""
    errand = Errand(1, "errand-1", "acme", "standard", "do it", pays=("1.1",))
    usage = Usage(input_tokens=30, output_tokens=15, model_calls=3, turns=3, tool_calls=2, cost_nano=6_000)
    last = {"status": "succeeded", "revision": 9, "attempt": 2, "usage": usage.as_json()}
    story = Story(errand, {JOB}, seen=[(1, "queued"), (2, "running"), (9, "succeeded")], last=last, again=dict(last))
    exhibit = Exhibit(
        story,
        calls=[call() for _ in range(4)],
        journal=[model(1), receipt(1), model(2), receipt(2), model(3)],
        arq_result={"r": "succeeded", "s": True},
        effects={"pay 1.1": 1},
        idempotency_keys={"pay 1.1": 1},
    )
    endings = [Ending("worker 1.1", killed=True, exit_code=None), Ending("worker 1.2", drained=True)]
    return Evidence([exhibit], endings, listed=[{"id": JOB, "input": "do it"}])


def never_accepted(evidence: Evidence) -> None:
    evidence.exhibits[0].story.job_ids.clear()


def never_ended(evidence: Evidence) -> None:
    evidence.exhibits[0].story.last = {}


def not_listed(evidence: Evidence) -> None:
    evidence.listed.clear()


def failed(evidence: Evidence) -> None:
    evidence.exhibits[0].story.last["status"] = "failed"


def cancelled_by_nobody(evidence: Evidence) -> None:
    evidence.exhibits[0].story.last["status"] = "cancelled"


def a_turn_short(evidence: Evidence) -> None:
    evidence.exhibits[0].journal.pop()


def ended_again_later(evidence: Evidence) -> None:
    evidence.exhibits[0].story.again["status"] = "failed"


def touched_after_its_end(evidence: Evidence) -> None:
    evidence.exhibits[0].story.again["revision"] += 1


def ended_twice(evidence: Evidence) -> None:
    evidence.exhibits[0].story.seen[1:1] = [(2, "cancelled")]


def went_back(evidence: Evidence) -> None:
    evidence.exhibits[0].story.seen.insert(0, (5, "running"))


def no_arq_result(evidence: Evidence) -> None:
    evidence.exhibits[0].arq_result = None


def another_arq_result(evidence: Evidence) -> None:
    evidence.exhibits[0].arq_result = {"r": "failed", "s": False}


def two_jobs_answered(evidence: Evidence) -> None:
    evidence.exhibits[0].story.job_ids.add(OTHER)


def two_jobs_listed(evidence: Evidence) -> None:
    evidence.listed.append({"id": OTHER, "input": "do it"})


def a_stranger(evidence: Evidence) -> None:
    evidence.listed.append({"id": OTHER, "input": "do something else"})


def bought_again(evidence: Evidence) -> None:
    evidence.exhibits[0].calls.append(call())


def bought_again_without_a_death(evidence: Evidence) -> None:
    evidence.exhibits[0].story.last["attempt"] = 1


def never_sold(evidence: Evidence) -> None:
    del evidence.exhibits[0].calls[1:]


def sold_only_in_part(evidence: Evidence) -> None:
    for one in evidence.exhibits[0].calls:
        one["completed"] = False


def a_turn_twice(evidence: Evidence) -> None:
    evidence.exhibits[0].journal.append(model(3))


def a_receipt_twice(evidence: Evidence) -> None:
    evidence.exhibits[0].journal.append(receipt(1))


def a_wrong_bill(evidence: Evidence) -> None:
    evidence.exhibits[0].story.last["usage"]["cost_usd"] = "0.000007"


def tokens_uncounted(evidence: Evidence) -> None:
    evidence.exhibits[0].story.last["usage"]["input_tokens"] = 20


def a_tool_call_uncounted(evidence: Evidence) -> None:
    evidence.exhibits[0].story.last["usage"]["tool_calls"] = 1


def paid_twice(evidence: Evidence) -> None:
    evidence.exhibits[0].effects["pay 1.1"] = 2


def under_two_keys(evidence: Evidence) -> None:
    evidence.exhibits[0].idempotency_keys["pay 1.1"] = 2


def paid_only_on_paper(evidence: Evidence) -> None:
    evidence.exhibits[0].effects["pay 1.1"] = 0


def cancel_forgotten(evidence: Evidence) -> None:
    evidence.exhibits[0].story.cancel = "cancelling"


def an_internal_error(evidence: Evidence) -> None:
    evidence.exhibits[0].story.strange.append("GET /v1/jobs/1: 500 Internal Server Error")


def a_leak(evidence: Evidence) -> None:
    evidence.leaks.append("sluice:forgotten")


def an_exception_logged(evidence: Evidence) -> None:
    evidence.endings[1].log.append({"event": "attempt_broke", "exception": "KeyError: 'x'"})


def a_bare_traceback(evidence: Evidence) -> None:
    evidence.endings[1].log.append({"text": "Traceback (most recent call last):"})


def gone_by_itself(evidence: Evidence) -> None:
    evidence.endings.append(Ending("worker 2.1", exit_code=0))


def a_drain_that_failed(evidence: Evidence) -> None:
    evidence.endings[1].exit_code = 1


def a_drain_that_never_ended(evidence: Evidence) -> None:
    evidence.endings[1].exit_code = None


Doctoring = Callable[[Evidence], None]
BREACHES: list[tuple[str, Doctoring]] = [
    ("submits never accepted", never_accepted),
    ("accepted jobs lost", never_ended),
    ("accepted jobs lost", not_listed),
    ("jobs that ended otherwise than they should", failed),
    ("jobs that ended otherwise than they should", cancelled_by_nobody),
    ("jobs that ended otherwise than they should", a_turn_short),
    ("jobs that changed after their end", ended_again_later),
    ("jobs that changed after their end", touched_after_its_end),
    ("jobs that changed after their end", ended_twice),
    ("jobs that changed after their end", went_back),
    ("jobs without their one arq result", no_arq_result),
    ("jobs without their one arq result", another_arq_result),
    ("submits with one key that made two jobs", two_jobs_answered),
    ("submits with one key that made two jobs", two_jobs_listed),
    ("jobs that nobody submitted", a_stranger),
    ("finished turns bought again, beyond one for each loss of its worker", bought_again),
    ("finished turns bought again, beyond one for each loss of its worker", bought_again_without_a_death),
    ("turns in a journal that the provider never sold", never_sold),
    ("turns in a journal that the provider never sold", sold_only_in_part),
    ("turns that are twice in a journal", a_turn_twice),
    ("turns that are twice in a journal", a_receipt_twice),
    ("jobs whose usage is not that of their journal", a_wrong_bill),
    ("jobs whose usage is not that of their journal", tokens_uncounted),
    ("jobs whose usage is not that of their journal", a_tool_call_uncounted),
    ("irreversible tools run more than once", paid_twice),
    ("tools that ran under two idempotency keys", under_two_keys),
    ("receipts of tools that left no mark", paid_only_on_paper),
    ("cancels broken", cancel_forgotten),
    ("answers of the api that were neither good nor an honest refusal", an_internal_error),
    ("keys without a lifetime left in Redis", a_leak),
    ("tracebacks in a log", an_exception_logged),
    ("tracebacks in a log", a_bare_traceback),
    ("processes that ended by themselves", gone_by_itself),
    ("drains that did not exit with 0", a_drain_that_failed),
    ("drains that did not exit with 0", a_drain_that_never_ended),
]


def test_intact_evidence_breaks_no_promise() -> None:
    assert not any(judge(intact()).values())


@pytest.mark.parametrize(("counts", "doctor"), BREACHES, ids=lambda value: getattr(value, "__name__", ""))
def test_doctored_evidence_breaks_its_promise(counts: str, doctor: Doctoring) -> None:
    evidence = intact()
    doctor(evidence)
    assert judge(evidence)[counts]


def test_every_promise_is_seen_to_break() -> None:
    assert set(PROMISES) == {counts for counts, _ in BREACHES}


@pytest.mark.parametrize("excuse", ["hurried", "cancel"])
def test_a_turn_in_flight_may_be_lost_in_a_hurry_or_a_cancel(excuse: str) -> None:
    evidence = intact()
    bought_again(evidence)
    if excuse == "hurried":
        evidence.exhibits[0].hurried = 1
    else:
        evidence.exhibits[0].story.cancel = "succeeded"
    assert not any(judge(evidence).values())
