"""What a session remembers of a job, however it ended: written by the script that ends it, read as a conversation that
a provider accepts, by the rules of the simulated one."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.provider.messages import parse_for_count
from local.provider.models import known_models
from shared import ids, keys
from shared.checkpoints import Checkpoints
from shared.history import Exchange, conversation
from shared.job import IncompleteReason, JobError
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.sections import SessionSettings
from shared.sessions import Sessions
from shared.states import FINISHED, Event, Status
from shared.step import Mark, StepRecord
from shared.submission import Accepted
from shared.turn import Block, IntentRecord, ModelRecord, Record, ResultRecord
from shared.usage import Usage
from tests.shared.queueing import claimed, die, spec

OPENING = {"role": "user", "content": "What is due?"}


def text(said: str) -> Block:
    return {"type": "text", "text": said}


def call(name: str) -> Block:
    return {"type": "tool_use", "id": name, "name": "lookup", "input": {}}


def model(*content: Block, turn: int = 1, stop: str = "", target: str = "first") -> ModelRecord:
    reason = stop or ("tool_use" if any(block["type"] == "tool_use" for block in content) else "end_turn")
    return ModelRecord(turn, list(content), reason, Usage(), target, "claude", None, 1)


def result(name: str, turn: int = 1, said: str = "42") -> ResultRecord:
    return ResultRecord(turn, name, "lookup", said, False, 1)


def exchange(
    *records: Record, status: Status = Status.SUCCEEDED, output: str = "", asked: Any = "What is due?"
) -> Exchange:
    return Exchange("job_1", status, 1, asked, output, list(records))


def told(content: Any) -> list[tuple[str, bool]]:
    return [(block["content"], block["is_error"]) for block in content]


# What is read


def test_a_job_is_what_it_was_asked_and_what_it_did() -> None:
    said = exchange(model(call("a")), result("a"), model(text("Nothing."), turn=2)).messages()

    assert said[0] == OPENING
    assert [message["role"] for message in said] == ["user", "assistant", "user", "assistant"]
    assert said[3]["content"] == [text("Nothing.")]


def test_a_conversation_as_input_stands_there_as_it_was_given() -> None:
    asked = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, OPENING]

    assert exchange(model(text("Nothing.")), asked=asked).messages()[:3] == asked


@pytest.mark.parametrize("status", [Status.INCOMPLETE, Status.CANCELLED, Status.FAILED])
def test_a_tool_call_without_an_answer_gets_one_that_says_so(status: Status) -> None:
    *_, last = exchange(model(call("a"), call("b")), IntentRecord(1, "b"), status=status).messages()

    assert [block["tool_use_id"] for block in last["content"]] == ["a", "b"]
    assert all("unknown" in content and is_error for content, is_error in told(last["content"]))


def test_results_that_are_there_are_kept_beside_those_that_are_not() -> None:
    *_, last = exchange(model(call("a"), call("b")), result("b"), status=Status.CANCELLED).messages()

    (missing, is_error), there = told(last["content"])
    assert is_error
    assert "unknown" in missing
    assert there == ("42", False)


def test_what_may_have_made_a_job_fail_never_comes_back() -> None:
    records = model(call("a")), result("a", said="something no provider takes")

    *_, last = exchange(*records, status=Status.FAILED).messages()

    ((content, is_error),) = told(last["content"])
    assert "not kept" in content
    assert is_error


def test_a_tool_call_that_was_cut_off_is_left_out() -> None:
    cut = model(text("Let me see."), call("a"), stop="max_tokens")

    assert exchange(cut, status=Status.INCOMPLETE).messages()[-1]["content"] == [text("Let me see.")]


@pytest.mark.parametrize("records", [[], [model()], [model(call("a"), stop="max_tokens")]])
def test_a_job_that_said_nothing_is_left_out(records: list[Record]) -> None:
    assert exchange(*records, status=Status.INCOMPLETE).messages() == []


def test_thinking_is_for_the_target_that_signed_it() -> None:
    thinking = {"type": "thinking", "thinking": "…", "signature": "s"}
    one = exchange(model(thinking, text("Nothing.")))

    assert one.messages("first")[-1]["content"] == [thinking, text("Nothing.")]
    assert one.messages("second")[-1]["content"] == [text("Nothing.")]


def test_an_agent_without_tools_is_told_what_was_asked_and_answered() -> None:
    one = exchange(model(text("Let me see."), call("a")), result("a"), model(text("Nothing."), turn=2))
    other = exchange(model(text("Bye.")))

    assert conversation([one, other], with_tools=False) == [
        OPENING,
        {"role": "assistant", "content": "Nothing."},
        OPENING,
        {"role": "assistant", "content": [text("Bye.")]},
    ]


def test_a_job_too_long_is_what_it_was_asked_and_answered() -> None:
    assert exchange(output="Nothing.").messages() == [OPENING, {"role": "assistant", "content": "Nothing."}]
    assert exchange(output="").messages() == []


def test_of_a_custom_agent_it_is_known_what_it_was_asked_and_what_it_returned() -> None:
    mark = Mark("draft", 1, "", 1)
    one = exchange(
        replace(model(text("A draft."), call("a")), mark=mark), StepRecord(1, mark, 7, "", 1), output='{"total":7}'
    )

    assert one.messages() == [OPENING, {"role": "assistant", "content": '{"total":7}'}]


contents = st.lists(st.sampled_from(["text", "call", "thinking"]), max_size=4)


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    """A job that was stopped anywhere, by anything."""
    records: list[Record] = []
    for turn in range(1, draw(st.integers(1, 4)) + 1):
        content: list[Block] = []
        for kind in draw(contents):
            name = f"toolu_{ids.new_call_id()}"
            content.append({"text": text("Well."), "call": call(name), "thinking": {"type": "thinking"}}[kind])
        record = model(*content, turn=turn, target=draw(st.sampled_from(["first", "second"])))
        records.append(record)
        records += [result(block["id"], turn) for block in content if block["type"] == "tool_use"]
        if not record.calls_tools:
            break
    stopped = records[: draw(st.integers(0, len(records)))]
    if stopped and isinstance(last := stopped[-1], ModelRecord) and draw(st.booleans()):
        stopped[-1] = replace(last, stop_reason="max_tokens")
    return exchange(*stopped, status=draw(st.sampled_from(sorted(FINISHED))), output=draw(st.sampled_from(["", "So."])))


@given(st.lists(exchanges(), max_size=4), st.sampled_from(["first", "second"]), st.booleans())
def test_a_provider_accepts_whatever_is_left_of_any_jobs(past: list[Exchange], target: str, with_tools: bool) -> None:
    said = conversation(past, target, with_tools=with_tools)

    assert not said or said[0]["role"] == "user"
    parse_for_count({"model": "claude-sonnet-4-6", "messages": [*said, OPENING]}, known_models(()))


# What is written


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(redis, retention_ms=60_000)


async def begun(redis: Redis, queue: Queue, *records: Record, **fields: Any) -> str:
    """A job of the session that a worker holds, with this journal."""
    answer = await queue.submit(ids.new_job_id(), spec(session_id="chat", **fields))
    assert isinstance(answer, Accepted)
    assert await claimed(queue, "a") == [answer.job_id]
    for index, record in enumerate(records):
        await Checkpoints(redis).append("a", answer.job_id, index, record)
    return answer.job_id


async def ended(redis: Redis, queue: Queue, *records: Record, **fields: Any) -> str:
    job_id = await begun(redis, queue, *records, **fields)
    await queue.finish("a", job_id, Conclusion(Event.SUCCEED, output="done"))
    return job_id


async def remembered(redis: Redis) -> list[Exchange]:
    return await Sessions(redis).history("default", "chat")


async def test_what_is_written_is_read_again(redis: Redis, queue: Queue) -> None:
    records = model(text('Quote " and \\ and é.'), call("a")), result("a"), model(text("Nothing."), turn=2)
    job_id = await ended(
        redis, queue, *records, input=[{"role": "user", "content": [text("Grüße"), {"type": "x", "y": []}]}]
    )

    (one,) = await remembered(redis)

    assert one.input == [{"role": "user", "content": [text("Grüße"), {"type": "x", "y": []}]}]
    assert (one.job_id, one.status, one.records, one.turns) == (job_id, Status.SUCCEEDED, list(records), 2)


async def test_a_custom_agent_may_need_no_model(redis: Redis, queue: Queue) -> None:
    await ended(redis, queue)

    assert conversation(await remembered(redis)) == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "done"},
    ]


@pytest.mark.parametrize("how", ["cancelled", "its worker died", "given back", "incomplete", "failed"])
async def test_a_job_is_remembered_however_it_ended(redis: Redis, queue: Queue, how: str) -> None:
    job_id = await begun(redis, queue, model(call("a")))
    if how == "incomplete":
        stopped = Conclusion(Event.STOP_SHORT, output="", incomplete=IncompleteReason.MAX_TURNS)
        await queue.finish("a", job_id, stopped)
    elif how == "failed":
        await queue.finish("a", job_id, Conclusion(Event.FAIL, error=JobError("agent", "x", "x", True)))
    else:
        await queue.cancel(job_id)
    if how == "cancelled":
        await queue.finish("a", job_id, Conclusion(Event.CONFIRM_CANCEL))
    elif how == "its worker died":
        await die(redis, "a")
    elif how == "given back":
        await queue.release("a", job_id, "capacity")  # type: ignore[arg-type]

    (one,) = await remembered(redis)

    assert one.status == (how if how in ("incomplete", "failed") else "cancelled")
    assert len(one.messages()) == 3


async def test_a_finish_that_is_repeated_is_remembered_once(redis: Redis, queue: Queue) -> None:
    job_id = await ended(redis, queue, model(text("Nothing.")))

    await queue.finish("a", job_id, Conclusion(Event.SUCCEED, output="done"))

    assert len(await remembered(redis)) == 1


async def test_a_job_without_an_answer_is_not_remembered(redis: Redis, queue: Queue) -> None:
    """What a provider has refused to take would be refused again, with every job to come."""
    job_id = await begun(redis, queue)
    await queue.finish("a", job_id, Conclusion(Event.FAIL, error=JobError("provider", "x", "x", False)))
    job_id = await begun(redis, queue)
    await queue.cancel(job_id)
    await queue.release("a", job_id, "capacity")  # type: ignore[arg-type]

    assert await remembered(redis) == []


async def test_a_refusal_is_not_remembered(redis: Redis, queue: Queue) -> None:
    job_id = await begun(redis, queue, model(text("I will n"), stop="refusal"))
    refused = Conclusion(Event.STOP_SHORT, output="I will n", incomplete=IncompleteReason.REFUSAL)

    await queue.finish("a", job_id, refused)

    assert await remembered(redis) == []


async def test_the_oldest_jobs_are_forgotten_first_and_whole(redis: Any) -> None:
    queue = Queue(redis, retention_ms=60_000, sessions=SessionSettings(max_history_bytes=4000))
    jobs = [
        await ended(redis, queue, model(call("a")), result("a", said="x" * 300), model(text("y"), turn=2))
        for _ in range(5)
    ]

    kept = await remembered(redis)

    assert [one.job_id for one in kept] == jobs[-len(kept) :]
    sizes = [len(entry) for entry in await redis.lrange(keys.session_history("default", "chat"), 0, -1)]
    assert sum(sizes) <= 4000 < sum(sizes) + max(sizes), "not one more than must be"
    assert 1 < len(kept) < 5
    assert conversation(kept)[0] == {"role": "user", "content": "hello"}


async def test_a_job_longer_than_all_that_may_be_is_remembered_in_short(redis: Redis) -> None:
    queue = Queue(redis, retention_ms=60_000, sessions=SessionSettings(max_history_bytes=4000))
    await ended(redis, queue, model(call("a")), result("a", said="x" * 5000), model(text("y"), turn=2))

    assert conversation(await remembered(redis)) == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "done"},
    ]


async def test_an_input_longer_than_all_that_may_be_is_not_and_the_rest_stays(redis: Redis) -> None:
    queue = Queue(redis, retention_ms=60_000, sessions=SessionSettings(max_history_bytes=4000))
    first = await ended(redis, queue, model(text("y")))
    await ended(redis, queue, model(text("y")), input="x" * 5000)

    assert [one.job_id for one in await remembered(redis)] == [first]


async def test_a_job_that_is_deleted_is_not_remembered(redis: Redis, queue: Queue) -> None:
    jobs = [await ended(redis, queue, model(text(said))) for said in ("one", "two", "two")]

    await queue.delete(jobs[1], tenant="default")

    assert [one.job_id for one in await remembered(redis)] == [jobs[0], jobs[2]]


async def test_a_session_outlives_its_jobs(redis: Any, queue: Queue) -> None:
    job_id = await ended(redis, queue, model(text("Nothing.")))
    await redis.delete(keys.job(job_id), keys.turns(job_id))  # its retention is over

    assert len(conversation(await remembered(redis))) == 2


async def test_what_another_version_may_add_does_not_matter(redis: Any, queue: Queue) -> None:
    await ended(redis, queue, model(text("Nothing.")))
    key = keys.session_history("default", "chat")
    entry = json.loads(await redis.lindex(key, 0))
    await redis.lset(key, 0, json.dumps(entry | {"new": 1}))

    assert len(await remembered(redis)) == 1
