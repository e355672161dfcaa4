"""The agent loop where a person has to be asked: what it asks when, what runs before, and what the model is told."""

from typing import Any

import pytest

from shared.action import ActionKind, Decision, DecisionRecord
from shared.queue import Conclusion
from shared.states import Event
from shared.turn import IntentRecord, Record, Transcript
from tests.worker.test_agent_loop import Recorded, Script, answer, results
from worker.agent_loop import Ask, run_agent
from worker.agents import Agent, tool
from worker.tool_runner import ToolOutcome

Asked = list[tuple[str, ActionKind]]


@tool(effect="read")
def look() -> str:
    """Look."""
    return "sky"


@tool(effect="read", approval="always")
def peek(at: str = "diary") -> str:
    """Peek."""
    return "secret"


@tool(effect="idempotent")
def put() -> str:
    """Put."""
    return "put"


@tool(effect="irreversible")
async def fire(power: int = 1) -> str:
    """Fire."""
    return "fired"


@tool(effect="compensable")
def book() -> str:
    """Book."""
    return "booked"


@tool(effect="irreversible", approval="always")
def erase(what: str = "all") -> str:
    """Erase."""
    return "erased"


AGENT = Agent(name="asker", system="Test.", tools=[look, peek, put, fire, book, erase])
LATE = ToolOutcome("The tool did not answer within 1 seconds.", is_error=True, milliseconds=1000, unknown=True)


async def run(
    script: Script, journal: list[Record] | None = None, *, effects: Recorded | None = None, **options: Any
) -> tuple[Recorded, Conclusion | Ask]:
    effects = effects or Recorded(script, **options)
    return effects, await run_agent(AGENT, Transcript("Go.", journal or []), effects)


def asked(ended: Conclusion | Ask) -> Asked:
    assert isinstance(ended, Ask)
    return [(question.call.id, question.kind) for question in ended.questions]


def told(effects: Recorded, call_id: str) -> tuple[str, bool]:
    receipt = results(effects.journal)[call_id]
    return receipt.content, receipt.is_error


async def after(
    decision: Decision, *calls: str, comment: str | None = None, given: dict[str, Any] | None = None
) -> tuple[Recorded, Conclusion | Ask]:
    """A turn of these calls, the first of which waited for a person who has decided so."""
    name, _, call_id = calls[0].partition(":")
    unknown = [IntentRecord(1, call_id)] if name in ("fire", "book") else []
    decided = DecisionRecord(1, call_id, decision, given, comment)
    return await run([answer(1), answer(2, text="done")], [answer(1, *calls), *unknown, decided])


async def test_what_needs_approval_is_not_run_and_leaves_no_intent() -> None:
    effects, ended = await run([answer(1, "erase:x")])

    assert asked(ended) == [("x", ActionKind.APPROVAL)]
    assert effects.ran == []
    assert [record.kind for record in effects.journal] == ["model"]
    assert effects.bought == [1]


async def test_reads_and_what_comes_before_run_first_and_all_that_needs_a_person_is_asked_at_once() -> None:
    calls = ["put:a", "erase:b", "look:c", "fire:d", "peek:e", "erase:f", "nowhere:g"]
    effects, ended = await run([answer(1, *calls)])

    assert [call.id for call in effects.ran] == ["c", "a"]
    assert asked(ended) == [(one, ActionKind.APPROVAL) for one in "bef"]
    assert set(results(effects.journal)) == {"a", "c"}, "what comes after has to wait"


@pytest.mark.parametrize("name", ["fire", "book"])
async def test_an_intent_without_a_receipt_is_asked_about_and_not_run_again(name: str) -> None:
    effects, ended = await run([answer(1)], [answer(1, f"{name}:x", "erase:y", "put:z"), IntentRecord(1, "x")])

    assert asked(ended) == [("x", ActionKind.OUTCOME), ("y", ActionKind.APPROVAL)]
    assert effects.ran == []
    assert effects.log == ["verify x"]


@pytest.mark.parametrize("happened", [True, "fired at noon"])
async def test_what_verify_knows_to_have_happened_nobody_is_asked(happened: bool | str) -> None:
    journal = [answer(1, "fire:x"), IntentRecord(1, "x")]
    effects, ended = await run([answer(1), answer(2, text="done")], journal, happened=happened)

    assert isinstance(ended, Conclusion)
    assert effects.ran == []
    content, is_error = told(effects, "x")
    assert not is_error
    assert content == happened or "has happened" in content


async def test_what_verify_knows_not_to_have_happened_runs_again_with_an_intent_of_its_own() -> None:
    journal = [answer(1, "fire:x"), IntentRecord(1, "x")]
    effects, _ = await run([answer(1), answer(2, text="done")], journal, happened=False)

    assert effects.log[:5] == ["verify x", "save intent x", "run x", "ran x", "save result x"]


class Late(Recorded):
    """Tools do not answer in time."""

    async def run_tool(self, call: Any) -> ToolOutcome:
        await super().run_tool(call)
        return LATE


@pytest.mark.parametrize("name", ["fire", "book"])
async def test_one_that_does_not_answer_in_time_is_as_unknown(name: str) -> None:
    _, ended = await run([], effects=Late([answer(1, f"{name}:x", "erase:y")]))

    assert asked(ended) == [("x", ActionKind.OUTCOME), ("y", ActionKind.APPROVAL)]
    assert isinstance(ended, Ask)
    assert ended.questions[0].note == LATE.content


async def test_one_that_was_late_and_stopped_is_an_error_when_it_is_known_not_to_have_happened() -> None:
    effects, ended = await run([], effects=Late([answer(1, "fire:x"), answer(2, text="ok")], happened=False))

    assert isinstance(ended, Conclusion)
    assert [call.id for call in effects.ran] == ["x"]
    assert told(effects, "x") == (f"{LATE.content} It was stopped, and has not happened.", True)


async def test_a_thread_that_was_late_may_still_do_it_so_a_person_is_asked() -> None:
    _, ended = await run([], effects=Late([answer(1, "book:x")], happened=False))

    assert asked(ended) == [("x", ActionKind.OUTCOME)]


async def test_one_that_was_late_and_has_happened_is_a_success() -> None:
    effects, _ = await run([], effects=Late([answer(1, "fire:x"), answer(2, text="ok")], happened="fired"))

    assert told(effects, "x") == ("fired", False)
    assert results(effects.journal)["x"].milliseconds == 1000


async def test_approved_it_runs_once_and_what_comes_after_it() -> None:
    effects, ended = await after(Decision.APPROVE, "erase:x", "put:y")

    assert effects.log[:5] == ["save intent x", "run x", "ran x", "save result x", "run y"]
    assert told(effects, "x") == ("erase did x", False)
    assert isinstance(ended, Conclusion)
    assert ended.event == Event.SUCCEED


async def test_a_comment_is_told_to_the_model() -> None:
    effects, _ = await after(Decision.APPROVE, "erase:x", comment="But only this once.")

    assert told(effects, "x")[0] == "[A person allowed it. Comment: But only this once.]\nerase did x"


async def test_edited_it_runs_with_the_persons_input_and_the_model_is_told() -> None:
    effects, _ = await after(Decision.EDIT, "erase:x", given={"what": "half"}, comment="Not all.")

    assert effects.ran[0].input == {"what": "half"}
    content, is_error = told(effects, "x")
    assert content.startswith('[A person changed the input to {"what": "half"} before it ran. Comment: Not all.]\n')
    assert not is_error


async def test_a_huge_edit_is_cut_like_all_that_the_model_pays_for_in_each_turn() -> None:
    effects, _ = await after(Decision.EDIT, "erase:x", given={"what": "x" * 900_000}, comment="Not all.")

    content, _ = told(effects, "x")
    assert len(content) < 10_000
    assert "Comment: Not all." in content
    assert content.endswith("\nerase did x"), "what the tool said is all there"


async def test_what_a_person_has_found_is_told() -> None:
    kept: list[Record] = [answer(1, "fire:x"), IntentRecord(1, "x")]
    for result, said in (({"shot": 7}, '{"shot": 7}'), ("Gone.", "Gone."), ("x" * 900_000, "[cut off here")):
        found = DecisionRecord(1, "x", Decision.DONE, comment="Ada looked.", result=result)
        effects, _ = await run([answer(1), answer(2)], [*kept, found])
        content, is_error = told(effects, "x")
        assert content.startswith("A person has checked that this call happened. Comment: Ada looked. What it said: ")
        assert (said in content, is_error, len(content) < 31_000) == (True, False, True)


async def test_an_edit_that_does_not_fit_is_asked_about_again() -> None:
    effects, ended = await after(Decision.EDIT, "erase:x", given={"whom": "me"})

    assert isinstance(ended, Ask)
    (question,) = ended.questions
    assert question.call.input == {"whom": "me"}
    assert "whom: Extra inputs are not permitted" in str(question.note)
    assert effects.ran == []


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        (Decision.DENY, "A person denied this call; it was not run. Comment: No."),
        (Decision.EXPIRED, "nobody decided in time (it expired; it was not denied). It was not run."),
    ],
)
async def test_denied_or_expired_it_does_not_run_and_the_model_is_told_which(decision: Decision, words: str) -> None:
    effects, ended = await after(decision, "erase:x", "put:y", comment="No.")

    content, is_error = told(effects, "x")
    assert words in content
    assert is_error
    assert [call.id for call in effects.ran] == ["y"], "what comes after it runs"
    assert isinstance(ended, Conclusion)


async def test_done_is_told_as_a_success_and_nothing_runs() -> None:
    effects, _ = await after(Decision.DONE, "fire:x", comment="I saw it.")

    assert effects.ran == []
    assert told(effects, "x") == (
        "A person has checked that this call happened; what it said is lost. Comment: I saw it.",
        False,
    )


async def test_not_done_runs_again_after_another_intent() -> None:
    effects, _ = await after(Decision.NOT_DONE, "fire:x")

    assert effects.log[:4] == ["save intent x", "run x", "ran x", "save result x"]


async def test_an_outcome_that_nobody_told_in_time_stays_unknown() -> None:
    effects, _ = await after(Decision.EXPIRED, "fire:x")

    content, is_error = told(effects, "x")
    assert "outcome of this call is unknown" in content
    assert is_error
    assert effects.ran == []


async def test_a_decision_is_used_up_by_the_intent_after_it() -> None:
    """Not done, begun again, and the worker died again: a person is asked again."""
    kept: list[Record] = [
        answer(1, "erase:x"),
        DecisionRecord(1, "x", Decision.EDIT, {"what": "half"}),
        IntentRecord(1, "x"),
        DecisionRecord(1, "x", Decision.NOT_DONE),
        IntentRecord(1, "x"),
    ]
    effects, ended = await run([answer(1)], kept)

    assert asked(ended) == [("x", ActionKind.OUTCOME)]
    assert isinstance(ended, Ask)
    assert ended.questions[0].call.input == {"what": "half"}, "as it was begun"
    assert effects.ran == []


async def test_once_allowed_it_needs_no_other_permission() -> None:
    kept: list[Record] = [
        answer(1, "erase:x"),
        DecisionRecord(1, "x", Decision.APPROVE),
        IntentRecord(1, "x"),
        DecisionRecord(1, "x", Decision.NOT_DONE),
    ]
    effects, ended = await run([answer(1), answer(2, text="done")], kept)

    assert [call.id for call in effects.ran] == ["x"]
    assert isinstance(ended, Conclusion)


async def test_a_call_that_was_begun_by_a_tool_there_is_no_more_is_asked_about() -> None:
    _, ended = await run([answer(1)], [answer(1, "gone:x"), IntentRecord(1, "x")])

    assert asked(ended) == [("x", ActionKind.OUTCOME)]
