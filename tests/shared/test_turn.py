"""The journal: every record survives its JSON, and a journal reads as a conversation."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.action import DecisionRecord
from shared.journal import from_json, to_json
from shared.message import MessageRecord
from shared.turn import BrokenRecord, IntentRecord, ModelRecord, Record, ResultRecord, ServedAs, ToolCall, Transcript
from shared.usage import Usage

texts = st.text(st.characters(codec="utf-8"), max_size=30)
counts = st.integers(0, 10**15)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
blocks = st.one_of(
    texts.map(lambda text: {"type": "text", "text": text}),
    st.builds(
        lambda id, name, given: {"type": "tool_use", "id": id, "name": name, "input": given},
        texts,
        texts,
        st.dictionaries(texts, values, max_size=3),
    ),
)
usages = st.builds(Usage, *[counts] * 8)
models = st.builds(
    ModelRecord,
    turn=counts,
    content=st.lists(blocks, max_size=4),
    stop_reason=texts,
    usage=usages,
    target=texts,
    model=texts,
    request_id=st.none() | texts,
    milliseconds=counts,
    served_as=st.sampled_from(ServedAs),
)
intents = st.builds(IntentRecord, turn=counts, tool_use_id=texts)
messages = st.builds(MessageRecord, turn=counts, id=texts, content=texts, at_ms=counts)
decisions = st.builds(DecisionRecord, turn=counts, tool_use_id=texts, input=st.none() | st.dictionaries(texts, texts))
receipts = st.builds(
    ResultRecord,
    turn=counts,
    tool_use_id=texts,
    name=texts,
    content=texts,
    is_error=st.booleans(),
    milliseconds=counts,
)


@given(record=st.one_of(models, intents, decisions, messages, receipts))
def test_every_record_survives_its_json(record: Record) -> None:
    text = to_json(record)
    assert from_json(text) == record
    assert type(from_json(text)) is type(record)
    assert "\n" not in text
    text.encode()


@given(record=st.one_of(models, intents, decisions, messages, receipts))
def test_a_record_is_written_the_same_each_time(record: Record) -> None:
    """A repeated append is recognised by its text."""
    assert to_json(from_json(to_json(record))) == to_json(record)


def test_a_record_says_its_kind() -> None:
    assert json.loads(to_json(IntentRecord(1, "x"))) == {"kind": "intent", "turn": 1, "tool_use_id": "x"}


def test_a_record_from_before_there_were_fallbacks_is_of_the_first_target() -> None:
    old = json.loads(to_json(model(1)))
    del old["served_as"]
    assert from_json(json.dumps(old)) == model(1)


def model(turn: int, *content: dict[str, Any], stop: str = "tool_use", **usage: int) -> ModelRecord:
    return ModelRecord(turn, list(content), stop, Usage(**usage), "default", "model", None, 1)


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def use(id: str, name: str = "clock") -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": {"of": id}}


def result(turn: int, id: str, content: str = "noon", is_error: bool = False) -> ResultRecord:
    return ResultRecord(turn, id, "clock", content, is_error, 1)


def told(id: str, content: str = "noon", is_error: bool = False) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error}


def test_a_text_is_the_first_message() -> None:
    assert Transcript("Hello", []).messages() == [{"role": "user", "content": "Hello"}]


def test_a_conversation_is_gone_on_with_and_left_as_it_was() -> None:
    opening = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    transcript = Transcript(opening, [model(1, said("d"), stop="end_turn")])

    assert transcript.messages() == [*opening, {"role": "assistant", "content": [said("d")]}]
    assert len(opening) == 3


def test_a_turns_results_are_one_message_and_intents_none() -> None:
    journal: list[Record] = [
        *(
            model(1, said("Both."), use("a"), use("b")),
            result(1, "b"),
            IntentRecord(1, "a"),
            result(1, "a", "no", True),
        ),
        *(model(2, use("c")), result(2, "c")),
    ]
    assert Transcript("Go", journal).messages()[1:] == [
        {"role": "assistant", "content": [said("Both."), use("a"), use("b")]},
        {"role": "user", "content": [told("b"), told("a", "no", True)]},
        {"role": "assistant", "content": [use("c")]},
        {"role": "user", "content": [told("c")]},
    ]


THOUGHTS = [
    {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
    {"type": "redacted_thinking", "data": "xyz"},
]


def by(target: str, record: ModelRecord) -> ModelRecord:
    return replace(record, target=target)


def test_a_target_is_given_its_own_thinking_and_not_that_of_another() -> None:
    journal: list[Record] = [
        by("one", model(1, *THOUGHTS, use("a"))),
        result(1, "a"),
        by("two", model(2, *THOUGHTS, use("b"))),
        result(2, "b"),
    ]
    transcript = Transcript("Go", journal)

    of_one, of_two = transcript.messages("one"), transcript.messages("two")

    assert of_one[1]["content"] == [*THOUGHTS, use("a")]
    assert of_one[3]["content"] == [use("b")]
    assert of_two[1]["content"] == [use("a")]
    assert of_two[3]["content"] == [*THOUGHTS, use("b")]
    assert transcript.messages()[1::2] == [
        {"role": "assistant", "content": [*THOUGHTS, use("a")]},
        {"role": "assistant", "content": [*THOUGHTS, use("b")]},
    ]


def test_what_comes_before_a_targets_thinking_never_changes() -> None:
    """Its signature vouches for all that was said before, as that target was told it."""
    journal: list[Record] = [by("two", model(1, *THOUGHTS, use("a"))), result(1, "a")]
    before = Transcript("Go", journal).messages("one")
    later = Transcript("Go", [*journal, by("one", model(2, *THOUGHTS, use("b"))), result(2, "b")]).messages("one")
    assert later[: len(before)] == before


def test_an_answer_of_thinking_alone_is_nothing_to_another_target() -> None:
    """A message without content would be refused."""
    journal: list[Record] = [by("one", model(1, *THOUGHTS, stop="pause_turn"))]
    assert Transcript("Go", journal).messages("two") == [{"role": "user", "content": "Go"}]


def test_what_has_no_receipt_is_unanswered_in_the_models_order() -> None:
    journal: list[Record] = [model(1, use("a"), use("b"), use("c")), result(1, "b"), IntentRecord(1, "c")]
    assert Transcript("Go", journal).unanswered() == [
        ToolCall(1, "a", "clock", {"of": "a"}, started=False),
        ToolCall(1, "c", "clock", {"of": "c"}, started=True, begun=True, place=2),
    ]


def test_what_broke_off_is_paid_for_and_not_said() -> None:
    lost = BrokenRecord(2, Usage(input_tokens=5, cost_nano=3), "default", "m", "overloaded_error")
    assert from_json(to_json(lost)) == lost
    with_it, without = Transcript("Go", [model(1), lost]), Transcript("Go", [model(1)])
    assert with_it.messages() == without.messages()
    assert (with_it.turns, with_it.last_model) == (without.turns, without.last_model)
    assert with_it.usage == without.usage + lost.usage


def test_only_the_last_turn_can_be_unanswered() -> None:
    """The same id in an earlier turn is another call."""
    journal: list[Record] = [model(1, use("a")), result(1, "a"), model(2, use("a"))]
    assert [call.turn for call in Transcript("Go", journal).unanswered()] == [2]


@pytest.mark.parametrize("stop", ["max_tokens", "end_turn", "refusal", "pause_turn"])
def test_a_call_in_an_answer_that_did_not_end_for_it_is_none(stop: str) -> None:
    assert Transcript("Go", [model(1, use("a"), stop=stop)]).unanswered() == []


def test_a_job_that_has_not_begun_has_no_answer() -> None:
    empty = Transcript("Go", [])
    assert (empty.last_model, empty.turns, empty.text, empty.usage, len(empty)) == (None, 0, "", Usage(), 0)
    assert empty.unanswered() == []


def test_the_text_is_what_was_said_last() -> None:
    journal: list[Record] = [
        model(1, said("So "), use("a"), said("far")),
        result(1, "a", "not this"),
        model(2, use("b")),
    ]
    assert Transcript("Go", journal).text == "So far"


def test_turns_and_usage_are_those_of_the_model_records() -> None:
    transcript = Transcript("Go", [model(1, use("a"), input_tokens=3, turns=1), result(1, "a")])
    transcript.append(model(2, said("b"), stop="end_turn", input_tokens=4, cost_nano=9, turns=1))

    assert (transcript.turns, len(transcript)) == (2, 3)
    assert transcript.usage == Usage(input_tokens=7, cost_nano=9, turns=2)


@given(journal=st.lists(st.one_of(models, intents, decisions, messages, receipts), max_size=8))
def test_reading_a_journal_changes_nothing(journal: list[Record]) -> None:
    before = [to_json(record) for record in journal]
    transcript = Transcript("Go", journal)
    transcript.messages()
    transcript.unanswered()
    transcript.append(IntentRecord(1, "x"))
    assert [to_json(record) for record in journal] == before


def test_a_call_that_was_cut_off_in_the_answer_is_not_told() -> None:
    cut = model(1, said("I will"), use("a"), stop="max_tokens")
    transcript = Transcript("go", [cut, MessageRecord(1, "mail_1", "Do.", 1)])

    assert transcript.messages() == [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [said("I will")]},
        {"role": "user", "content": [said("Do.")]},
    ]


def test_whatever_was_said_user_and_model_take_turns() -> None:
    silent = model(1, stop="end_turn")
    transcript = Transcript("go", [silent, MessageRecord(1, "mail_1", "Well?", 1), MessageRecord(1, "mail_2", "?", 1)])

    assert transcript.messages() == [{"role": "user", "content": [said("go"), said("Well?"), said("?")]}]
    assert transcript.spoken_to
