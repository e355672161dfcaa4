"""Which recorded result belongs to which call: by name and number, and by order as long as that is known."""

import asyncio
import sys
from typing import Any

import pytest
from pydantic import BaseModel

from shared.journal import from_json, to_json
from shared.step import Mark, StepIntentRecord, StepRecord
from shared.turn import IntentRecord, ModelRecord, Record, ResultRecord
from shared.usage import Usage
from worker.replay import MODEL, STEP, AgentChanged, Replay, fingerprint


def step(name: str, number: int = 1, *, asked: str = "a", order: int = 0, result: Any = None) -> StepRecord:
    return StepRecord(0, Mark(name, number, asked, order), result, "", 1)


def model(name: str = "model", number: int = 1, *, asked: str = "a", order: int = 0) -> ModelRecord:
    said: list[dict[str, Any]] = [{"type": "text", "text": f"{name} {number}"}]
    return ModelRecord(
        number, said, "end_turn", Usage(turns=1), "t", "m", None, 1, mark=Mark(name, number, asked, order)
    )


def ask(replay: Replay, kind: str, name: str, *, asked: str = "a", alone: bool = True) -> Record | None:
    return replay.answer(kind, replay.mark(kind, name, asked, alone=alone))


@pytest.mark.parametrize(
    "record", [step("a", 2, result={"x": [1, None]}), model(order=3), StepIntentRecord(1, Mark("b", 1, "", 2))]
)
def test_a_record_is_read_back_as_it_was_written(record: Record) -> None:
    assert from_json(to_json(record)) == record


def test_the_nth_call_of_a_name_gets_its_nth_result_whatever_was_recorded_in_between() -> None:
    replay = Replay([step("b", result="b1"), step("a", result="a1"), model(), step("a", 2, result="a2")])

    answers = [ask(replay, STEP, name, alone=False) for name in ("a", "b", "a", "a")]

    assert [one.result if isinstance(one, StepRecord) else one for one in answers] == ["a1", "b1", "a2", None]
    assert replay.close() == ["model call 'model'"]


def test_steps_and_model_calls_have_names_of_their_own() -> None:
    replay = Replay([step("model", result="of the step"), model()])
    assert isinstance(ask(replay, MODEL, "model", alone=False), ModelRecord)
    assert isinstance(ask(replay, STEP, "model", alone=False), StepRecord)


def test_records_of_tool_calls_are_none_of_its_business() -> None:
    replay = Replay([IntentRecord(1, "toolu_1"), ResultRecord(1, "toolu_1", "x", "y", False, 1), model(order=1)])
    assert ask(replay, MODEL, "model") is not None
    assert replay.close() == []


@pytest.mark.parametrize("kind", [STEP, MODEL])
@pytest.mark.parametrize("alone", [True, False])
def test_a_result_of_something_else_is_not_handed_out(kind: str, alone: bool) -> None:
    replay = Replay([step("a", order=1), model("a", order=1)][kind == MODEL :][:1])
    with pytest.raises(AgentChanged, match=f"asks for {kind} 'a' with other arguments"):
        ask(replay, kind, "a", asked="b", alone=alone)


def test_what_cannot_be_compared_is_taken_for_the_same() -> None:
    assert ask(Replay([step("a", asked="")]), STEP, "a", asked="b") is not None
    assert ask(Replay([step("a", asked="b")]), STEP, "a", asked="") is not None


def test_an_intent_counts_as_asked_for_with_these_arguments() -> None:
    intent = StepIntentRecord(0, Mark("pay", 1, "ten", 1))
    replay = Replay([intent])
    mark = replay.mark(STEP, "pay", "ten", alone=True)
    assert replay.answer(STEP, mark) is None
    assert replay.begun(mark)
    with pytest.raises(AgentChanged):
        ask(Replay([intent]), STEP, "pay", asked="twenty")


def test_one_thing_after_the_other_has_an_order() -> None:
    recorded = [step("a", order=1), step("b", order=2)]
    with pytest.raises(AgentChanged, match=r"asks for step 'b', where step 'a' is.*submit the job again"):
        ask(Replay(recorded), STEP, "b")
    renamed = Replay(recorded)
    ask(renamed, STEP, "a")
    with pytest.raises(AgentChanged, match="asks for step 'bee', where step 'b' is"):
        ask(renamed, STEP, "bee")


def test_an_end_before_the_journals_is_another_agents() -> None:
    replay = Replay([step("a", order=1), step("b", order=2)])
    ask(replay, STEP, "a")
    with pytest.raises(AgentChanged, match="has ended without step 'b'"):
        replay.close()


def test_what_ran_beside_each_other_has_no_order() -> None:
    """The first attempt began `fast` before `slow` was through; this one, to which both are known, may not."""
    replay = Replay([step("first", order=1), step("fast"), step("slow"), step("last")])
    ask(replay, STEP, "first")
    for name in ("slow", "fast"):
        assert ask(replay, STEP, name, alone=False) is not None
    assert ask(replay, STEP, "last") is not None
    assert replay.mark(STEP, "more", "a", alone=True).order == 0, "from then on for good"
    assert replay.close() == []


class Order(BaseModel):
    number: int
    tags: set[str] = set()


def test_a_fingerprint_is_of_values_not_of_objects() -> None:
    assert fingerprint({"a": 1, "b": [Order(number=1)]}) == fingerprint({"b": [Order(number=1)], "a": 1})
    assert fingerprint(Order(number=1)) != fingerprint(Order(number=2))
    assert fingerprint(Order(number=1, tags={"x", "y", "z"})) == fingerprint(Order(number=1, tags={"z", "y", "x"}))
    assert fingerprint(object()) == fingerprint(object())
    assert fingerprint({"x", "y", "z"}) == fingerprint({"z", "y", "x"})
    assert fingerprint({1: "a", "b": 2}) == "", "keys that have no order"


async def test_a_fingerprint_is_the_same_in_every_process() -> None:
    program = "from worker.replay import fingerprint; print(fingerprint({'x','y','z'}, {'a': 1}, object(), 'ü'))"
    said = set()
    for seed in ("1", "2", "3"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, env={"PYTHONHASHSEED": seed}
        )
        said.add((await process.communicate())[0])
        assert process.returncode == 0
    assert len(said) == 1
