"""GET /v1/jobs/{id}/turns shows each call that broke off, and all usage shown adds up to that of the job."""

from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.fork_point import turns_of, until_end, until_turn
from api.turn_presenter import turn_list
from api.turn_schemas import TurnList
from shared.checkpoints import Checkpoints
from shared.inspector import Journal
from shared.job import IncompleteReason, JobError
from shared.message import MessageRecord
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.states import Event, Status
from shared.turn import BrokenRecord, ModelRecord, Record, ResultRecord, Transcript
from shared.usage import USAGE_FIELDS, Usage, dollars, from_dollars
from tests.api.talk import StandIn
from tests.api.test_turns import asks, result, running, turns
from tests.shared.queueing import asked


def broken(turn: int, why: str = "overloaded_error", tokens: int = 9) -> BrokenRecord:
    usage = Usage(input_tokens=tokens, output_tokens=2, model_calls=1, cost_nano=tokens * 1_000)
    return BrokenRecord(turn, usage, "sonnet", "claude-sonnet-4-6", why)


def shown(listed: list[dict[str, Any]]) -> dict[str, int]:
    """The sum of what these turns or calls say they used, money in nano-dollars."""
    each = [one["usage"] | {"cost_nano": from_dollars(one["usage"]["cost_usd"])} for one in listed]
    return {name: sum(usage[name] for usage in each) for name in USAGE_FIELDS}


def told(usage: dict[str, Any]) -> dict[str, int]:
    return {name: usage[name] for name in USAGE_FIELDS if name != "cost_nano"} | {
        "cost_nano": from_dollars(usage["cost_usd"])
    }


ENDINGS = {
    "succeeded": Conclusion(Event.SUCCEED, "Done."),
    "incomplete": Conclusion(Event.STOP_SHORT, "So far.", incomplete=IncompleteReason.DEADLINE_EXCEEDED),
    "failed": Conclusion(Event.FAIL, error=JobError("agent", "agent_error", "oops", True)),
    "cancelled": Conclusion(Event.CONFIRM_CANCEL),
}
JOURNALS: dict[str, list[Record]] = {
    "before the first turn": [broken(1), broken(1, "cancelled", 5)],
    "after a turn": [broken(1), asks("a"), result("a"), broken(2), broken(2, "cancelled")],
    "before the last turn": [asks("a"), result("a"), broken(2), asks(turn=2, stop_reason="end_turn")],
    "nowhere": [asks("a"), result("a"), asks(turn=2, stop_reason="end_turn")],
}


@pytest.mark.parametrize("ending", [*ENDINGS, "running", "requires_action"])
@pytest.mark.parametrize("journal", JOURNALS)
async def test_all_usage_shown_is_that_of_the_job_however_it_ends(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis, journal: str, ending: str
) -> None:
    job_id = await worker.add()
    (job,) = await worker.take()
    for index, record in enumerate(JOURNALS[journal]):
        await Checkpoints(redis).append("stand-in", job_id, index, record)
    if ending == "requires_action":
        await worker.ask(job, asked(job_id, tool_call_id="toolu_a"))
    if ending == "cancelled":
        await http.post(f"/v1/jobs/{job_id}/cancel")
    if conclusion := ENDINGS.get(ending):
        await Queue(redis, retention_ms=3_600_000).finish("stand-in", job_id, conclusion)

    of_job = (await http.get(f"/v1/jobs/{job_id}")).json()
    page = await turns(http, job_id)

    assert of_job["status"] == page["status"] == ending
    assert shown(page["data"] + page["broken_calls"]) == told(of_job["usage"])
    calls = [call for turn in page["data"] for call in turn["broken_calls"]] + page["broken_calls"]
    assert len(calls) == sum(isinstance(one, BrokenRecord) for one in JOURNALS[journal])


async def test_a_call_that_broke_off_tells_all_of_it(http: httpx2.AsyncClient, worker: StandIn, redis: Redis) -> None:
    lost = broken(1)
    job_id = await running(worker, redis, lost)
    one = {
        "object": "broken_call",
        "turn": 1,
        "target": "sonnet",
        "model": "claude-sonnet-4-6",
        "why": "overloaded_error",
        "usage": lost.usage.as_json(),
    }
    page = await turns(http, job_id)
    assert (page["data"], page["broken_calls"]) == ([], [one])


async def test_a_retry_does_not_show_as_its_own_what_the_old_job_has_paid(
    http: httpx2.AsyncClient, worker: StandIn, redis: Redis
) -> None:
    said = MessageRecord(1, "mail_x", "Hurry.", 1)
    old = await running(worker, redis, broken(1), asks("a"), result("a"), broken(2), said, broken(2))
    await worker.finish(old, event=Event.FAIL)
    job = (await http.post(f"/v1/jobs/{old}/retry", json={})).json()

    page = await turns(http, job["id"])

    assert [len(turn["broken_calls"]) for turn in page["data"]] == [1], "as it stands there"
    assert page["broken_calls"] == []
    assert len((await turns(http, old))["broken_calls"]) == 2


# Whatever happens to a job

turn_shapes = st.tuples(st.integers(0, 2), st.integers(0, 2))
"""How many calls broke off before it, and how many tool calls are in it."""
journals = st.tuples(st.lists(turn_shapes, max_size=4), st.integers(0, 2), st.booleans())


def records_of(shape: tuple[list[tuple[int, int]], int, bool], turns_before: int = 0) -> list[Record]:
    """A journal of such turns, with calls that no turn has followed, and perhaps something said at its end."""
    turns, loose, spoken_to = shape
    records: list[Record] = []
    for turn, (lost, calls) in enumerate(turns, turns_before + 1):
        names = [f"{turn}.{call}" for call in range(calls)]
        records += [broken(turn, tokens=turn * 10 + i) for i in range(lost)]
        records += [asks(*names, turn=turn, stop_reason="tool_use" if calls else "end_turn")]
        records += [result(name, turn=turn) for name in names]
    last = turns_before + len(turns)
    records += [MessageRecord(last, "mail_x", "Hurry.", 1)] if spoken_to else []
    return records + [broken(last + 1, tokens=last * 100 + i) for i in range(loose)]


def read(records: list[Record], status: Status, inherited: int, limit: int) -> tuple[list[Any], list[Any]]:
    """All turns and all loose calls, page by page."""
    seen: list[Any] = []
    while True:
        after = seen[-1]["turn"] if seen else 0
        page = turn_list("job", Journal(status, 1, records, [], inherited), limit=limit, after=after)
        assert TurnList.model_validate(page).model_dump(mode="json") == page
        seen += page["data"]
        if not page["has_more"]:
            return seen, page["broken_calls"]
        assert page["broken_calls"] == []


@given(shape=journals, status=st.sampled_from(Status), limit=st.integers(1, 5))
def test_turns_and_loose_calls_add_up(shape: Any, status: Status, limit: int) -> None:
    records = records_of(shape)
    listed, loose = read(records, status, 0, limit)
    receipts = sum(isinstance(one, ResultRecord) for one in records)
    assert shown(listed + loose) == told(Transcript("Go.", records).usage.as_json() | {"tool_calls": receipts})


@given(old=journals, more=journals, from_turn=st.none() | st.integers(0, 4), limit=st.integers(1, 5))
def test_a_forks_own_turns_and_its_loose_calls_add_up(old: Any, more: Any, from_turn: int | None, limit: int) -> None:
    journal = records_of(old)
    copied = journal[: until_end(journal) if from_turn is None else until_turn(journal, from_turn)]
    records = copied + records_of(more, turns_of(copied))
    listed, loose = read(records, Status.FAILED, len(copied), limit)
    own = [turn for turn in listed if turn["turn"] > turns_of(copied)]
    spent = Transcript("Go.", records, inherited=len(copied)).usage
    used = shown(own + loose)
    assert used | {"tool_calls": 0} == told(spent.as_json())
    bought = sum(isinstance(one, ModelRecord) for one in records[len(copied) :])
    assert (len(own), dollars(used["cost_nano"])) == (bought, dollars(spent.cost_nano))
