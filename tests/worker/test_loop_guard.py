"""The loop guard: it stops what goes round in circles, and nothing that gets on."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.turn import Block, ModelRecord, Record, ResultRecord, Transcript
from shared.usage import Usage
from worker.loop_guard import LONGEST_CYCLE, PATIENCE, loop_in
from worker.tools import tool


@tool(effect="read")
def look(at: str = "sky") -> str:
    """Look."""
    return at


@tool(effect="irreversible")
def fire(power: int = 1) -> str:
    """Fire."""
    return f"fired with {power}"


TOOLS = {"look": look, "fire": fire}
Call = tuple[str, dict[str, Any], str, bool]
"""A tool's name, its arguments, what came of it, and whether that was an error."""


def transcript(*turns: list[Call]) -> Transcript:
    records: list[Record] = []
    for turn, calls in enumerate(turns, 1):
        content: list[Block] = [
            {"type": "tool_use", "id": f"{turn}.{i}", "name": name, "input": given}
            for i, (name, given, _, _) in enumerate(calls)
        ]
        records.append(ModelRecord(turn, content, "tool_use", Usage(turns=1), "default", "m", None, 1))
        records += [
            ResultRecord(turn, f"{turn}.{i}", name, said, failed, 1) for i, (name, _, said, failed) in enumerate(calls)
        ]
    return Transcript("Go.", records)


def saw(said: str, at: str = "sky") -> list[Call]:
    return [("look", {"at": at}, said, False)]


def fired(said: str) -> list[Call]:
    return [("fire", {"power": 1}, said, False)]


def loops(*turns: list[Call], repeats: int = 5) -> bool:
    return loop_in(transcript(*turns), TOOLS, repeats) is not None


def test_the_same_call_five_times_is_a_loop_and_four_times_is_none() -> None:
    assert not loops(*[saw("blue")] * 4)
    assert loops(*[saw("blue")] * 5)
    assert loops(saw("grey"), *[saw("blue")] * 5), "whatever was before"
    assert loops(*[saw("blue")] * 2, repeats=2)


def polled(times: int) -> list[list[Call]]:
    return [saw(f"{percent} %") for percent in range(times)]


def test_polling_is_no_loop_until_it_has_gone_on_for_four_times_as_long() -> None:
    assert not loops(*polled(19))
    assert loops(*polled(20))
    assert loops(*polled(2 * PATIENCE), repeats=2)
    assert loop_in(transcript(*polled(20)), TOOLS, 5) == 'look({"at":"sky"}): 20 times in a row, whatever came of it'


def test_polling_begins_anew_with_whatever_is_done_meanwhile() -> None:
    assert not loops(*polled(19), saw("blue", at="sea"), *polled(19))
    assert not loops(*polled(19), [*saw("blue"), *fired("bang")], *polled(19))


def test_a_round_of_polls_is_a_loop_as_late() -> None:
    both = [one for percent in range(20) for one in (saw(f"{percent} %"), saw(f"{percent} m", at="sea"))]
    assert not loops(*both[1:])
    assert loops(*both)


def test_what_has_changed_since_begins_anew() -> None:
    assert not loops(*[saw("blue")] * 4, saw("red"), *[saw("blue")] * 4)
    assert not loops(*[saw("blue")] * 4, saw("blue", at="sea"), *[saw("blue")] * 4)


def test_to_do_the_same_again_is_a_loop_whatever_the_receipt_says() -> None:
    assert loops(*(fired(f"receipt {number}") for number in range(5)))


def test_to_fail_in_other_words_is_to_fail() -> None:
    assert loops(*([("look", {}, f"timeout {number}", True)] for number in range(5)))
    assert loops(*([("nowhere", {}, f"there is no tool {number}", True)] for number in range(5)))


def test_arguments_are_compared_by_what_they_say() -> None:
    orders = itertools.cycle([{"at": "sky", "far": {"x": 1, "y": 2}}, {"far": {"y": 2, "x": 1}, "at": "sky"}])
    assert loops(*([("look", next(orders), "blue", False)] for _ in range(5)))


def test_calls_beside_each_other_may_come_in_any_order() -> None:
    both = [*saw("blue"), *fired("bang")]
    assert loops(*(both if number % 2 else both[::-1] for number in range(5)))


def test_one_turn_with_many_calls_is_no_loop() -> None:
    assert not loops([*saw("blue"), *saw("blue"), *saw("blue"), *saw("blue"), *saw("blue")])


def test_a_model_that_only_pauses_calls_nothing_again() -> None:
    assert not loops(*[[]] * 20)


@pytest.mark.parametrize("period", range(2, LONGEST_CYCLE + 1))
def test_a_cycle_is_a_loop(period: int) -> None:
    round_of = [saw("blue", at=f"star {number}") for number in range(period)]
    assert not loops(*(round_of * 5)[1:])
    assert loops(*round_of * 5)


def test_it_is_said_what_was_done() -> None:
    assert loop_in(transcript(*[saw("blue")] * 5), TOOLS, 5) == (
        'look({"at":"sky"}): 5 times in a row, and nothing new came of it'
    )
    cycle = loop_in(transcript(*[saw("blue"), [*fired("bang"), *saw("x", at="y" * 1000)]] * 3), TOOLS, 3)
    assert cycle is not None
    assert cycle.startswith('look({"at":"sky"}), then fire({"power":1}) and look({"at":"yyy')
    assert len(cycle) < 400


# Whatever an agent does

calls = st.tuples(st.sampled_from(["look", "fire", "nowhere"]), st.sampled_from([{}, {"at": "sky"}]))
repeats = st.integers(2, 6)


@given(turns=st.lists(st.lists(calls, max_size=3), max_size=30), repeats=repeats)
def test_who_learns_something_new_each_turn_is_not_stopped_soon(turns: list[list[Any]], repeats: int) -> None:
    """Each turn reads something, and each time that says something else."""
    turns = turns[: PATIENCE * repeats - 1]
    told = [
        [("look", {"at": "clock"}, str(number), False), *((name, given, "x", False) for name, given in turn)]
        for number, turn in enumerate(turns)
    ]
    assert not loops(*told, repeats=repeats)


turns_of_one_kind = st.lists(st.tuples(calls, st.sampled_from(["a", "b"]), st.booleans()), min_size=1, max_size=2)


@given(
    before=st.lists(turns_of_one_kind, max_size=8),
    again=st.lists(turns_of_one_kind, min_size=1, max_size=LONGEST_CYCLE),
    repeats=repeats,
)
def test_who_goes_round_is_always_stopped(before: list[Any], again: list[Any], repeats: int) -> None:
    turns = before + again * repeats
    told = [[(name, given, said, failed) for (name, given), said, failed in turn] for turn in turns]
    assert loops(*told, repeats=repeats)
