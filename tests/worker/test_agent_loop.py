"""The agent loop with recorded effects: how a job ends, what is saved when, and that a cut journal is gone on with."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.action import ActionKind, Decision, DecisionRecord
from shared.errors import LeaseLost
from shared.job import IncompleteReason
from shared.message import MessageRecord
from shared.queue import Conclusion
from shared.states import Event
from shared.turn import Block, IntentRecord, ModelRecord, Record, ResultRecord, ToolCall, Transcript
from shared.usage import Usage
from worker.agent_loop import Ask, run_agent
from worker.agents import Agent, tool
from worker.budget import Limit
from worker.next_step import Question
from worker.tool_runner import MOST_CALLS, ToolOutcome


@tool(effect="read")
def look(at: str = "sky") -> str:
    """Look."""
    return at


@tool(effect="read")
def listen() -> str:
    """Listen."""
    return "birds"


@tool(effect="idempotent")
def put() -> str:
    """Put."""
    return "put"


@tool(effect="compensable")
def book() -> str:
    """Book."""
    return "booked"


@tool(effect="irreversible")
def fire(power: int = 1) -> str:
    """Fire."""
    return f"fired with {power}"


@tool(effect="irreversible", approval="always")
def erase() -> str:
    """Erase."""
    return "erased"


AGENT = Agent(name="tester", system="Test.", tools=[look, listen, put, book, fire, erase])
READS = {"look", "listen"}
REPEATABLE = READS | {"put"}
NEVER_BEGUN = {"nowhere"}

Script = list[ModelRecord]
Work = Callable[[ToolCall], Awaitable[None]]
Person = Callable[[Question], Decision]


class Recorded:
    """Effects that play a script, one answer a turn, and write down all that is asked of them."""

    def __init__(
        self,
        script: Script,
        *,
        limits: dict[int, Limit] | None = None,
        work: Work | None = None,
        saves: int | None = None,
        happened: bool | str | None = None,
        mail: dict[int, str] | None = None,
    ) -> None:
        """`limits` by the number of finished turns; `saves`: the lease is lost after so many; `happened`: what a tool's
        `verify` says; `mail`: what is said to the job, by the number of turns that are finished then."""
        self._script = script
        self._limits = limits or {}
        self._work = work
        self._saves = saves
        self._happened = happened
        self._mail = dict(mail or {})
        self.journal: list[Record] = []
        self.log: list[str] = []
        self.bought: list[int] = []
        self.asked: list[list[dict[str, Any]]] = []
        self.ran: list[ToolCall] = []
        self._saving = False

    def limit_reached(self, transcript: Transcript) -> Limit | None:
        self.log.append("limit?")
        return self._limits.get(transcript.turns)

    async def call_model(self, transcript: Transcript, turn: int) -> ModelRecord:
        self.log.append(f"model {turn}")
        self.bought.append(turn)
        self.asked.append(transcript.messages())
        return self._script[turn - 1]

    async def run_tool(self, call: ToolCall) -> ToolOutcome:
        self.log.append(f"run {call.id}")
        self.ran.append(call)
        if self._work:
            await self._work(call)
        self.log.append(f"ran {call.id}")
        return ToolOutcome(f"{call.name} did {call.id}", is_error=False, milliseconds=3)

    async def verify(self, call: ToolCall) -> bool | str | None:
        self.log.append(f"verify {call.id}")
        return self._happened

    async def hear(self, transcript: Transcript) -> None:
        if said := self._mail.pop(transcript.turns, None):
            message = MessageRecord(transcript.turns, f"mail_{transcript.turns}", said, 1)
            self.journal.append(message)
            self.log.append(f"hear {message.id}")
            transcript.append(message)

    async def save(self, record: Record) -> None:
        assert not self._saving, "records are saved one at a time: each has its number in the journal"
        self._saving = True
        await asyncio.sleep(0)
        self._saving = False
        if self._saves is not None and len(self.journal) >= self._saves:
            raise LeaseLost("job")
        self.journal.append(record)
        self.log.append(f"save {record.kind} {'' if isinstance(record, ModelRecord) else record.tool_use_id}".strip())


def answer(turn: int, *calls: str, text: str = "", stop: str | None = None, **inputs: Any) -> ModelRecord:
    """An answer that calls these tools, as `name` or `name:id`."""
    content: list[Block] = [{"type": "text", "text": text}] if text else []
    for number, call in enumerate(calls):
        name, _, id = call.partition(":")
        use = {"type": "tool_use", "id": id or f"toolu_{turn}_{number}", "name": name, "input": inputs.get(name, {})}
        content.append(use)
    stop = stop or ("tool_use" if calls else "end_turn")
    usage = Usage(input_tokens=10, output_tokens=5, model_calls=1, turns=1, cost_nano=7)
    return ModelRecord(turn, content, stop, usage, "default", "model", None, 1)


async def run(script: Script, journal: list[Record] | None = None, **options: Any) -> tuple[Recorded, Conclusion]:
    effects = Recorded(script, **options)
    ended = await run_agent(AGENT, Transcript("Go.", journal or []), effects)
    assert isinstance(ended, Conclusion)
    return effects, ended


def results(journal: list[Record]) -> dict[str, ResultRecord]:
    return {record.tool_use_id: record for record in journal if isinstance(record, ResultRecord)}


@pytest.mark.parametrize(
    ("stop", "conclusion"),
    [
        ("end_turn", Conclusion(Event.SUCCEED, output="Well.")),
        ("stop_sequence", Conclusion(Event.SUCCEED, output="Well.")),
        ("max_tokens", Conclusion(Event.STOP_SHORT, output="Well.", incomplete=IncompleteReason.MAX_TOKENS)),
        (
            "model_context_window_exceeded",
            Conclusion(Event.STOP_SHORT, output="Well.", incomplete=IncompleteReason.MAX_TOKENS),
        ),
        ("refusal", Conclusion(Event.STOP_SHORT, output="Well.", incomplete=IncompleteReason.REFUSAL)),
    ],
)
async def test_the_stop_reason_says_how_the_job_ends(stop: str, conclusion: Conclusion) -> None:
    effects, ended = await run([answer(1, text="Well.", stop=stop)])

    assert ended == conclusion
    assert effects.bought == [1]


async def test_a_paused_turn_goes_on_with_what_was_said() -> None:
    effects, ended = await run([answer(1, text="First", stop="pause_turn"), answer(2, text="then")])

    assert ended == Conclusion(Event.SUCCEED, output="then")
    assert effects.asked[1][-1] == {"role": "assistant", "content": [{"type": "text", "text": "First"}]}


async def test_the_output_is_the_last_text_there_was() -> None:
    _, ended = await run([answer(1, "look", text="So far"), answer(2, stop="max_tokens")])

    assert ended.output == "So far"


async def test_a_finished_journal_needs_nothing_more() -> None:
    script = [answer(1, text="Done.")]
    effects, ended = await run(script, journal=list(script))

    assert ended.output == "Done."
    assert effects.log == []


async def test_tool_calls_are_settled_and_saved_before_the_next_model_call() -> None:
    effects, _ = await run([answer(1, "look:a", "put:b"), answer(2, text="done")])

    assert effects.log == [
        *("limit?", "model 1", "save model"),
        *("run a", "ran a", "save result a"),
        *("run b", "ran b", "save result b"),
        *("limit?", "model 2", "save model"),
    ]


async def test_the_results_of_a_turn_go_back_in_one_message() -> None:
    effects, _ = await run([answer(1, "put:a", "look:b", "nowhere:c"), answer(2, text="done")])

    opening, said, told = effects.asked[1]
    assert opening == {"role": "user", "content": "Go."}
    assert said["role"] == "assistant"
    assert told["role"] == "user"
    assert {block["tool_use_id"]: block["is_error"] for block in told["content"]} == {"a": False, "b": False, "c": True}


async def test_reads_run_beside_each_other() -> None:
    together = asyncio.Barrier(3)

    async def meet(call: ToolCall) -> None:
        await together.wait()

    async with asyncio.timeout(10):
        effects, _ = await run([answer(1, "look", "listen", "look"), answer(2, text="done")], work=meet)

    assert len(effects.ran) == 3


async def test_other_tools_run_one_by_one_in_the_models_order_after_the_reads() -> None:
    async def linger(call: ToolCall) -> None:
        await asyncio.sleep(0)

    effects, _ = await run([answer(1, "fire:a", "put:b", "look:c", "book:d"), answer(2, text="done")], work=linger)

    tools = [line for line in effects.log if line.startswith(("run", "ran"))]
    assert tools == ["run c", "ran c", "run a", "ran a", "run b", "ran b", "run d", "ran d"]


async def test_a_slow_read_holds_up_no_other_receipt() -> None:
    quick_saved = asyncio.Event()

    async def work(call: ToolCall) -> None:
        if call.id == "slow":
            async with asyncio.timeout(10):
                await quick_saved.wait()

    class Watching(Recorded):
        async def save(self, record: Record) -> None:
            await super().save(record)
            if isinstance(record, ResultRecord) and record.tool_use_id == "quick":
                quick_saved.set()

    effects = Watching([answer(1, "look:slow", "listen:quick"), answer(2, text="done")], work=work)
    await run_agent(AGENT, Transcript("Go.", []), effects)

    assert list(results(effects.journal)) == ["quick", "slow"]


@pytest.mark.parametrize("name", ["fire", "book"])
async def test_an_intent_is_saved_before_what_must_not_run_twice(name: str) -> None:
    effects, _ = await run([answer(1, f"{name}:x"), answer(2, text="done")])

    assert effects.log[2:7] == ["save model", "save intent x", "run x", "ran x", "save result x"]


@pytest.mark.parametrize("name", ["put", "look"])
async def test_what_may_run_again_does_so_under_the_same_name(name: str) -> None:
    effects, _ = await run([answer(1), answer(2, text="done")], journal=[answer(1, f"{name}:x")])

    assert [(call.turn, call.id) for call in effects.ran] == [(1, "x")]
    assert effects.bought == [2]


async def test_an_unknown_tool_is_an_error_that_names_the_known_ones() -> None:
    effects, ended = await run([answer(1, "nowhere:x"), answer(2, text="I see.")])

    assert effects.ran == []
    assert ended.output == "I see."
    assert results(effects.journal)["x"].content == (
        "There is no tool nowhere; there are: look, listen, put, book, fire, erase."
    )


async def test_input_that_does_not_fit_is_told_before_an_intent_is_written() -> None:
    effects, _ = await run([answer(1, "fire:x", fire={"power": "much"}), answer(2, text="I see.")])

    assert effects.ran == []
    assert [record.kind for record in effects.journal] == ["model", "result", "model"]
    assert "power: Input should be a valid integer" in results(effects.journal)["x"].content


@pytest.mark.parametrize("stop", ["max_tokens", "refusal", "end_turn", "model_context_window_exceeded"])
async def test_a_tool_call_in_an_answer_that_was_cut_off_is_never_run(stop: str) -> None:
    effects, ended = await run([answer(1, "fire:x", text="I shall", stop=stop)])

    assert effects.ran == []
    assert effects.journal == [answer(1, "fire:x", text="I shall", stop=stop)]
    assert ended.output == "I shall"


async def test_limits_are_asked_before_each_turn_and_end_the_job_with_what_there_is() -> None:
    script = [answer(1, "look:a", text="one"), answer(2, "look:b", text="two"), answer(3, text="three")]
    effects, ended = await run(script, limits={2: Limit(IncompleteReason.MAX_TURNS, "It had two.")})

    assert [line for line in effects.log if line.startswith(("limit", "model"))] == [
        *("limit?", "model 1", "limit?", "model 2", "limit?")
    ]
    assert ended == Conclusion(Event.STOP_SHORT, "two", incomplete=IncompleteReason.MAX_TURNS, message="It had two.")
    assert "b" in results(effects.journal), "the last turn's tools have their results"


async def test_an_answer_is_not_thrown_away_for_a_limit_it_reached() -> None:
    _, ended = await run([answer(1, text="Done.")], limits={1: Limit(IncompleteReason.BUDGET_EXCEEDED, "Spent.")})

    assert ended == Conclusion(Event.SUCCEED, output="Done.")


@pytest.mark.parametrize("saves", range(7))
async def test_a_lost_lease_stops_the_loop_wherever_it_is(saves: int) -> None:
    effects = Recorded([answer(1, "look:a", "listen:b", "fire:c", "put:d"), answer(2, text="done")], saves=saves)
    before = asyncio.all_tasks()

    with pytest.raises(LeaseLost):
        await run_agent(AGENT, Transcript("Go.", []), effects)

    assert len(effects.journal) == saves
    assert asyncio.all_tasks() == before, "nothing is left running"


async def test_a_lost_lease_stops_the_reads_beside_it() -> None:
    async def work(call: ToolCall) -> None:
        if call.id == "slow":
            await asyncio.Event().wait()

    effects = Recorded([answer(1, "look:slow", "listen:quick")], work=work, saves=1)
    async with asyncio.timeout(10):
        with pytest.raises(LeaseLost):
            await run_agent(AGENT, Transcript("Go.", []), effects)

    assert "ran slow" not in effects.log


async def test_a_cancel_stops_the_reads_and_comes_out_as_a_cancel() -> None:
    both_run = asyncio.Barrier(3)

    async def work(call: ToolCall) -> None:
        await both_run.wait()
        await asyncio.Event().wait()

    effects = Recorded([answer(1, "look:a", "listen:b")], work=work)
    task = asyncio.create_task(run_agent(AGENT, Transcript("Go.", []), effects))
    async with asyncio.timeout(10):
        await both_run.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert [record.kind for record in effects.journal] == ["model"]


# From here on: random conversations, and journals that end anywhere.

NAMES = [*AGENT.tools_by_name, "nowhere"]
turns_with_tools = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5)
middles = st.lists(st.one_of(turns_with_tools, st.just("pause_turn")), max_size=4)
ends = st.sampled_from(["end_turn", "max_tokens", "refusal"])
texts = st.sampled_from(["", "said"])


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    script = []
    for turn, middle in enumerate(draw(middles), 1):
        if middle == "pause_turn":
            script.append(answer(turn, text=f"pause {turn}", stop="pause_turn"))
        else:
            script.append(answer(turn, *middle, text=draw(texts)))
    cut_off = draw(st.lists(st.sampled_from(NAMES), max_size=2))
    end = draw(ends)
    last = len(script) + 1
    script.append(answer(last, *(cut_off if end == "max_tokens" else ()), text=draw(texts), stop=end))
    return script


async def lag(call: ToolCall) -> None:
    """Tools do not end in the order in which they were begun."""
    for _ in range(sum(map(ord, call.id)) % 4):
        await asyncio.sleep(0)


def assert_valid(messages: list[dict[str, Any]]) -> None:
    """The rules of the Messages API for tool use, with every call answered."""
    assert messages[0]["role"] == "user"
    for before, message in zip([{"role": "", "content": ""}, *messages], messages, strict=False):
        expected = [block["id"] for block in _blocks(before, "tool_use")]
        given = [block["tool_use_id"] for block in _blocks(message, "tool_result")]
        assert sorted(given) == sorted(expected), "each call has one result, in the very next message"
        if expected:
            assert message["role"] == "user"
            assert len(given) == len(message["content"]), "and nothing stands between"


def _blocks(message: dict[str, Any], kind: str) -> list[Block]:
    content = message["content"]
    return [] if isinstance(content, str) else [block for block in content if block["type"] == kind]


def conversation(script: Script, journal: list[Record]) -> list[Any]:
    """What was said and told; results by id, since their order in a message is of no account."""
    assert [record for record in journal if isinstance(record, ModelRecord)] == script
    messages = Transcript("Go.", journal).messages()
    return [
        {block["tool_use_id"]: block["content"] for block in found} if (found := _blocks(each, "tool_result")) else each
        for each in messages
    ]


def truth(ran: list[ToolCall]) -> Person:
    """Somebody who allows everything, and looks whether a call has happened before he says so."""

    def decide(question: Question) -> Decision:
        if question.kind == ActionKind.APPROVAL:
            return Decision.APPROVE
        return Decision.DONE if question.call.id in {call.id for call in ran} else Decision.NOT_DONE

    return decide


async def see_through(script: Script, journal: list[Record], person: Person, **options: Any) -> tuple[Recorded, Any]:
    """The job to its end, with a person who answers what it asks. `journal` grows by all that is written."""
    effects = Recorded(script, **options)
    while True:
        seen = len(effects.journal)
        ended = await run_agent(AGENT, Transcript("Go.", list(journal)), effects)
        journal += effects.journal[seen:]
        if isinstance(ended, Conclusion):
            return effects, ended
        for question in ended.questions:
            journal.append(DecisionRecord(question.call.turn, question.call.id, person(question)))


@settings(max_examples=60, deadline=None)
@given(script=scripts(), said=st.sampled_from([Decision.APPROVE, Decision.DENY, Decision.EXPIRED]))
def test_every_request_to_the_model_is_a_valid_conversation(script: Script, said: Decision) -> None:
    async def whole() -> None:
        effects, _ = await see_through(script, [], lambda _: said, work=lag)
        assert effects.bought == list(range(1, len(script) + 1))
        for messages in effects.asked:
            assert_valid(messages)
        for turn, messages in enumerate(effects.asked, 1):
            assert [one for one in messages if one["role"] == "assistant"] == [
                {"role": "assistant", "content": record.content} for record in script[: turn - 1]
            ]
        assert said == Decision.APPROVE or not {call.name for call in effects.ran} & {"erase"}

    asyncio.run(whole())


@settings(max_examples=60, deadline=None)
@given(script=scripts())
def test_a_journal_cut_anywhere_is_gone_on_with(script: Script) -> None:
    async def cut_everywhere() -> None:
        whole: list[Record] = []
        first, ended = await see_through(script, whole, truth([]), work=lag)
        for cut in range(len(whole) + 1):
            kept = whole[:cut]
            resumed = list(kept)
            again, ended_again = await see_through(script, resumed, truth(first.ran), work=lag)
            finished = sum(isinstance(record, ModelRecord) for record in kept)
            assert again.bought == list(range(finished + 1, len(script) + 1)), "a finished turn is never bought again"
            assert ended_again == ended
            for messages in again.asked:
                assert_valid(messages)
            assert_same_but_for_the_unknown(conversation(script, whole), conversation(script, resumed), kept)
            assert_nothing_ran_twice(kept, again)

    asyncio.run(cut_everywhere())


def pending_intents(kept: list[Record]) -> set[str]:
    intents = {record.tool_use_id for record in kept if isinstance(record, IntentRecord)}
    return intents - set(results(kept))


def assert_same_but_for_the_unknown(whole: list[Any], resumed: list[Any], kept: list[Record]) -> None:
    unknown = pending_intents(kept)
    assert len(resumed) == len(whole)
    for before, after in zip(whole, resumed, strict=True):
        for id in unknown & before.keys():
            assert "A person has checked that this call happened" in after[id]
            after[id] = before[id]
        assert after == before


def assert_nothing_ran_twice(kept: list[Record], again: Recorded) -> None:
    ran = [call.id for call in again.ran]
    assert len(ran) == len(set(ran))
    assert not set(ran) & set(results(kept)), "what has a receipt does not run again"
    assert not set(ran) & pending_intents(kept), "nor what may have run and must not twice"
    assert not {call.name for call in again.ran} & NEVER_BEGUN


@settings(max_examples=40, deadline=None)
@given(script=scripts(), crashes=st.lists(st.integers(1, 4), max_size=12))
def test_however_often_it_crashes_nothing_irreversible_runs_twice(script: Script, crashes: list[int]) -> None:
    """Each life of the job ends after so many saves; what a life did in between is lost to the next."""

    async def lives() -> None:
        journal: list[Record] = []
        ran: list[ToolCall] = []
        for saves in [*crashes, None]:
            effects = Recorded(script, work=lag, saves=saves)
            try:
                ended: Any = await run_agent(AGENT, Transcript("Go.", list(journal)), effects)
            except LeaseLost:
                assert saves is not None
                ended = None
            journal += effects.journal
            ran += effects.ran
            if isinstance(ended, Ask):
                person = truth(ran)
                journal += [DecisionRecord(one.call.turn, one.call.id, person(one)) for one in ended.questions]
        rest, _ = await see_through(script, journal, truth(ran), work=lag)
        ran += rest.ran
        ids = [call.id for call in ran if call.name not in REPEATABLE]
        wanted = [
            block["id"]
            for record in script
            if record.calls_tools
            for block in record.content
            if block["type"] == "tool_use" and block["name"] not in REPEATABLE | NEVER_BEGUN
        ]
        assert sorted(ids) == sorted(wanted), "each exactly once"
        assert_valid(Transcript("Go.", journal).messages())
        assert [record for record in journal if isinstance(record, ModelRecord)] == script

    asyncio.run(lives())


async def test_an_answer_that_a_limit_made_short_is_ended_by_that_limit() -> None:
    cut = answer(1, text="Once upon", stop="max_tokens")
    _, ended = await run([replace(cut, shortened=True)])
    assert (ended.output, ended.incomplete) == ("Once upon", IncompleteReason.BUDGET_EXCEEDED)
    assert ended.message
    _, ended = await run([replace(answer(1, text="Whole."), shortened=True)])
    assert ended == Conclusion(Event.SUCCEED, output="Whole.")


@pytest.mark.parametrize("name", ["look", "put"])
async def test_of_hundreds_of_calls_in_a_turn_only_the_first_are_run(name: str) -> None:
    script = [answer(1, *[name] * 300), answer(2, text="Done.")]
    effects, _ = await run(script)
    assert len(effects.ran) == MOST_CALLS
    told = results(effects.journal)
    assert len(told) == 300, "the provider wants a result for each"
    assert [told[f"toolu_1_{number}"].is_error for number in range(300)] == [n >= MOST_CALLS for n in range(300)]
    again, _ = await run(script, effects.journal[:20])
    assert len(again.ran) == MOST_CALLS - 19, "the same ones after a crash"


async def test_what_is_said_in_mid_run_is_heard_behind_the_results_of_the_turn() -> None:
    script = [answer(1, "look:a", "put:b"), answer(2, text="done")]
    effects, ended = await run(script, mail={1: "Hurry."})

    assert ended.output == "done"
    told = effects.asked[1][-1]
    assert [block["type"] for block in told["content"]] == ["tool_result", "tool_result", "text"]
    assert told["content"][-1] == {"type": "text", "text": "Hurry."}
    assert effects.log.index("hear mail_1") == effects.log.index("model 2") - 2


async def test_what_is_said_before_the_first_turn_is_part_of_what_was_asked() -> None:
    effects, _ = await run([answer(1, text="done")], mail={0: "And be brief."})

    (opening,) = effects.asked[0]
    assert opening == {
        "role": "user",
        "content": [{"type": "text", "text": "Go."}, {"type": "text", "text": "And be brief."}],
    }


async def test_what_is_said_when_the_answer_is_there_is_answered_too() -> None:
    effects, ended = await run([answer(1, text="one"), answer(2, text="two")], mail={1: "What else?"})

    assert ended == Conclusion(Event.SUCCEED, output="two")
    assert [message["role"] for message in effects.asked[1]] == ["user", "assistant", "user"]


async def test_a_journal_that_ends_with_a_message_is_gone_on_with() -> None:
    said = MessageRecord(1, "mail_1", "What else?", 1)
    effects, ended = await run([answer(1, text="one"), answer(2, text="two")], journal=[answer(1, text="one"), said])

    assert (effects.bought, ended.output) == ([2], "two")


async def test_a_limit_ends_a_job_whatever_was_said_to_it() -> None:
    limit = Limit(IncompleteReason.BUDGET_EXCEEDED, "Enough.")
    effects, ended = await run([answer(1, text="one")], mail={1: "What else?"}, limits={1: limit})

    assert (ended.event, ended.output) == (Event.STOP_SHORT, "one")
    assert effects.bought == [1]


@pytest.mark.parametrize("stop", ["max_tokens", "refusal"])
async def test_an_answer_that_was_stopped_short_ends_the_job_and_nothing_is_heard(stop: str) -> None:
    effects, ended = await run([answer(1, text="one", stop=stop)], mail={1: "Go on."})

    assert ended.event == Event.STOP_SHORT
    assert not any(isinstance(record, MessageRecord) for record in effects.journal)


async def test_nothing_is_heard_while_a_person_is_asked() -> None:
    effects = Recorded([answer(1, "erase:a")], mail={1: "Wait."})
    ended = await run_agent(AGENT, Transcript("Go.", []), effects)

    assert isinstance(ended, Ask)
    assert "hear mail_1" not in effects.log
