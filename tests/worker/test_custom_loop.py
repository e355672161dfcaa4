"""A custom agent's function with recorded means: what is remembered, what is done again, and how an attempt ends."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import BaseModel

from shared.action import Answer, Decision, DecisionRecord
from shared.errors import LeaseLost, NoRoomYet
from shared.job import IncompleteReason, JobSpec
from shared.journal import from_json, to_json
from shared.queue import Conclusion
from shared.scratchpad import Scratchpad
from shared.states import Event
from shared.step import StepIntentRecord, StepRecord
from shared.turn import ModelRecord, Record, ResultRecord, Transcript
from shared.usage import Usage
from tests.waiting import until
from worker import custom_loop
from worker.agents import Budget, Context, StepFailed, agent, registry, tool
from worker.agents.custom import CustomAgent
from worker.attempt import Drained
from worker.budget import Limit
from worker.custom_loop import run_custom
from worker.halts import Halted
from worker.next_step import Question
from worker.provider import Question as ToModel
from worker.replay import AgentChanged

HELLO = [{"role": "user", "content": "Hello."}]
Function = Callable[[Context, Any], Awaitable[Any]]


class World:
    """The means of attempts at one job. Its journal outlasts them; each attempt may be made to fail."""

    def __init__(self, job_input: Any = "go") -> None:
        self.job: Any = SimpleNamespace(id="job_1", spec=JobSpec("ada", "custom", job_input, "default", session_id="s"))
        self.notes = cast(Scratchpad, None)
        self.history: list[dict[str, Any]] = []
        self.lines: list[str] = []
        self.bought: list[ToModel] = []
        self.ran: list[Any] = []
        self.limit: Limit | None = None
        self.leave: Exception | None = None
        self.refuse: Exception | None = None
        self.answers: dict[int, list[dict[str, Any]]] = {}
        self.saves: int | None = None

    @property
    def journal(self) -> list[Record]:
        return [from_json(line) for line in self.lines]

    def stay(self) -> None:
        if self.leave:
            raise self.leave

    def limit_reached(self, transcript: Transcript) -> Limit | None:
        self.stay()
        return self.limit

    async def ask(self, question: ToModel, transcript: Transcript, turn: int, fits: Any) -> ModelRecord:
        await asyncio.sleep(0)
        if self.refuse:
            raise self.refuse
        self.bought.append(question)
        content = self.answers.get(turn, [{"type": "text", "text": f"answer {turn}"}])
        stop = "tool_use" if any(block["type"] == "tool_use" for block in content) else "end_turn"
        usage = Usage(input_tokens=10, output_tokens=5, model_calls=1, turns=1)
        return ModelRecord(turn, content, stop, usage, "default", "m", None, 1)

    async def save(self, record: Record) -> None:
        if self.saves is not None and len(self.lines) >= self.saves:
            raise LeaseLost("job_1")
        await asyncio.sleep(0)
        self.lines.append(to_json(record))

    async def attempt(self, function: Function | CustomAgent, **options: Any) -> Any:
        custom = function if isinstance(function, CustomAgent) else agent(name="custom", **options)(function)
        return await run_custom(custom, Transcript(self.job.spec.input, self.journal), self)

    async def dies_after(self, records: int, function: Function) -> None:
        """An attempt whose worker dies when it wants to write one more."""
        self.saves = records
        with pytest.raises(LeaseLost):
            await self.attempt(function)
        self.saves = None

    def decide(self, question: Question, decision: Decision, **said: Any) -> None:
        """A person answers, while no worker has the job."""
        answer = Answer(decision, **said)
        self.lines.append(to_json(DecisionRecord.of(question.call.turn, question.call.id, answer)))

    def do(self, what: Any) -> Any:
        """The work of a step, counted."""
        self.ran.append(what)
        return what


@pytest.fixture
def world() -> World:
    return World()


def succeeded(output: str | None) -> Conclusion:
    return Conclusion(Event.SUCCEED, output=output)


def text_of(messages: Any) -> str:
    return str(messages[0]["content"])


async def test_a_model_call_is_a_turn_of_the_job(world: World) -> None:
    @tool(effect="read")
    def look() -> str:
        """Look."""
        return "sky"

    async def run(context: Context, given: str) -> str:
        answer = await context.call_model(
            [{"role": "user", "content": given}], system="Be brief.", tools=[look, {"name": "x"}], max_tokens=9_999
        )
        assert (answer.stop_reason, answer.usage.output_tokens, answer.tool_calls) == ("end_turn", 5, [])
        return answer.text

    assert await world.attempt(run, max_output_tokens=700) == succeeded("answer 1")

    (question,) = world.bought
    assert (question.system, question.max_tokens) == ("Be brief.", 700)
    assert question.messages("any") == [{"role": "user", "content": "go"}]
    assert [one["name"] for one in question.tools] == ["look", "x"]
    (record,) = world.journal
    assert isinstance(record, ModelRecord)
    assert record.turn == 1


async def test_what_was_said_in_the_session_can_be_put_before(world: World) -> None:
    world.history = [*HELLO, {"role": "assistant", "content": "Hello, Ada."}]

    async def run(context: Context, given: str) -> None:
        await context.call_model([*context.history, {"role": "user", "content": given}])

    await world.attempt(run)

    assert world.bought[0].messages("any") == [*world.history, {"role": "user", "content": "go"}]


async def everything(world: World, context: Context) -> list[Any]:
    first = await context.step("first", world.do, {"a": (1, 2)})
    second = (await context.call_model(HELLO)).text
    third, fourth = await asyncio.gather(
        context.step("third", world.do, 3), context.step("fourth", world.do, 4, effect="irreversible")
    )
    fifth = [await context.step("again", world.do, number) for number in range(2)]
    sixth = (await context.call_model([*HELLO, {"role": "assistant", "content": second}, *HELLO])).text
    return [first, second, third, fourth, fifth, sixth]


EVERYTHING = '[{"a": [1, 2]}, "answer 1", 3, 4, [0, 1], "answer 2"]'


async def test_wherever_the_journal_was_cut_the_next_attempt_goes_on_from_there(world: World) -> None:
    async def run(context: Context, given: str) -> Any:
        return await everything(world, context)

    await world.attempt(run)
    whole = list(world.lines)

    for cut in range(len(whole)):
        world.lines, world.ran, world.bought = whole[:cut], [], []
        turns = sum(isinstance(record, ModelRecord) for record in world.journal)
        steps = sum(isinstance(record, StepRecord) for record in world.journal)
        unknown = any(isinstance(one, StepIntentRecord) for one in world.journal) and not any(
            isinstance(one, StepRecord) and one.mark.name == "fourth" for one in world.journal
        )
        ended = await world.attempt(run)
        if unknown:
            assert [question.call.name for question in ended.questions] == ["fourth"]
            assert 4 not in world.ran
            world.decide(ended.questions[0], Decision.DONE, result=4)
            assert await world.attempt(run) == succeeded(EVERYTHING)
            assert len(world.bought) == 2 - turns, "what was bought beside it is kept"
        else:
            assert ended == succeeded(EVERYTHING)
            assert (len(world.bought), len(world.ran)) == (2 - turns, 5 - steps)


async def test_a_whole_journal_is_replayed_without_spending(world: World) -> None:
    async def run(context: Context, given: str) -> Any:
        return await everything(world, context)

    first = await world.attempt(run)
    before = (len(world.bought), list(world.ran), list(world.lines))

    assert await world.attempt(run) == first == succeeded(EVERYTHING)
    assert (len(world.bought), world.ran, world.lines) == before


@pytest.mark.parametrize("effect", ["read", "idempotent"])
async def test_other_steps_run_again_with_the_same_key(world: World, effect: Any) -> None:
    keys = []

    async def run(context: Context, given: str) -> Any:
        for amount in (1, 2):
            keys.append(context.idempotency_key("file"))
            await context.step("file", world.do, amount, effect=effect)

    world.saves = 1
    with pytest.raises(LeaseLost):
        await world.attempt(run)
    world.saves = None

    assert await world.attempt(run) == succeeded(None)
    assert world.ran == [1, 2, 2]
    assert keys == ["job_1/file/1", "job_1/file/2"] * 2


async def test_branches_may_end_in_another_order_the_next_time(world: World) -> None:
    slow_may_end = asyncio.Event()

    async def slow() -> str:
        await slow_may_end.wait()
        return "slow"

    async def branch(context: Context, name: str, work: Callable[[], Any]) -> str:
        found = await context.step(name, work)
        return (await context.call_model([{"role": "user", "content": found}], name=f"ask {name}")).text

    async def run(context: Context, given: str) -> Any:
        branches = asyncio.gather(branch(context, "slow", slow), branch(context, "quick", lambda: "quick"))
        return await branches

    attempt = asyncio.create_task(world.attempt(run))
    await until(lambda: len(world.lines) == 2)
    slow_may_end.set()
    first = await attempt

    assert first == succeeded('["answer 2", "answer 1"]')
    assert await world.attempt(run) == first
    assert len(world.bought) == 2


async def test_model_calls_of_a_job_are_made_one_at_a_time(world: World) -> None:
    async def run(context: Context, given: str) -> Any:
        calls = [context.call_model([{"role": "user", "content": f"{n}"}]) for n in range(4)]
        return [answer.text for answer in await asyncio.gather(*calls)]

    assert await world.attempt(run) == succeeded('["answer 1", "answer 2", "answer 3", "answer 4"]')
    assert [text_of(question.messages("")) for question in world.bought] == ["0", "1", "2", "3"]


# What a step may return, and how it fails


class Odd:
    pass


@pytest.mark.parametrize("result", [Odd(), {1, 2}, float("nan"), b"bytes", "\ud800", "x" * 1_000_001])
async def test_a_step_returns_json_or_says_so(world: World, result: Any) -> None:
    async def run(context: Context, given: str) -> Any:
        await context.step("odd", lambda: result)

    with pytest.raises(StepFailed, match=r"step 'odd' failed: TypeError: a step (must|may) return"):
        await world.attempt(run)


async def test_a_failure_that_the_function_goes_on_from_is_remembered(world: World) -> None:
    broken = True

    def flaky() -> str:
        world.do("flaky")
        if broken:
            raise KeyError("away")
        return "there"

    async def run(context: Context, given: str) -> Any:
        try:
            found = await context.step("flaky", flaky)
        except StepFailed as error:
            found = error.reason
        await context.step("rest", world.do, "rest")
        return found

    first = await world.attempt(run)
    broken = False

    assert first == succeeded("KeyError: 'away'")
    assert await world.attempt(run) == first
    assert world.ran == ["flaky", "rest"]


async def test_whatever_an_error_says_it_can_be_kept(world: World) -> None:
    def fail(how: str) -> None:
        raise OSError(b"caf\xe9".decode(errors="surrogateescape") if how == "strange" else "x" * 900_000)

    async def run(context: Context, given: str) -> Any:
        said = []
        for how in ("strange", "long"):
            try:
                await context.step(how, fail, how, effect="irreversible")
            except StepFailed as error:
                said.append(error.reason)
        return said

    first = await world.attempt(run)

    assert first.output.startswith('["OSError: caf?", "OSError: xxx')
    assert len(first.output) < 40_000
    assert await world.attempt(run) == first


async def test_a_failure_that_ends_the_attempt_is_not_and_the_next_one_tries_again(world: World) -> None:
    def flaky() -> str:
        if not world.do(len(world.ran)):
            raise OSError("away")
        return "there"

    async def run(context: Context, given: str) -> Any:
        return await context.step("flaky", flaky)

    with pytest.raises(StepFailed, match="OSError: away") as failed:
        await world.attempt(run)

    assert isinstance(failed.value.__cause__, OSError)
    assert world.lines == []
    assert await world.attempt(run) == succeeded("there")


async def test_a_failed_step_that_must_not_run_twice_does_not(world: World) -> None:
    def pay() -> None:
        world.do("pay")
        raise OSError("no answer")

    async def run(context: Context, given: str) -> Any:
        await context.step("pay", pay, effect="irreversible")

    for _ in range(2):
        with pytest.raises(StepFailed, match="OSError: no answer"):
            await world.attempt(run)
    assert world.ran == ["pay"]


async def test_a_step_has_a_time_limit_and_cannot_end_the_worker(world: World) -> None:
    async def run(context: Context, given: str) -> Any:
        said = []
        for name, work in (("late", asyncio.Event().wait), ("exits", lambda: exit(3)), ("cancels", cancelled)):
            try:
                await context.step(name, work, timeout=0.05)
            except StepFailed as error:
                said.append(error.reason)
        return said

    ended = await world.attempt(run)
    assert ended == succeeded('["it did not end within 0.05 seconds", "SystemExit: 3", "it was cancelled from within"]')


async def cancelled() -> None:
    raise asyncio.CancelledError


async def test_a_wrong_effect_is_told_at_once(world: World) -> None:
    async def run(context: Context, given: str) -> Any:
        await context.step("a", world.do, 1, effect=cast(Any, "harmless"))

    with pytest.raises(ValueError, match="'harmless' is not a valid Effect"):
        await world.attempt(run)


# Code that has changed


async def test_changed_code_is_one_clear_error_before_anything_is_spent(world: World) -> None:
    async def old(context: Context, given: str) -> Any:
        await context.step("charge", world.do, 1, effect="irreversible")
        await context.call_model(HELLO)

    async def new(context: Context, given: str) -> Any:
        await context.step("bill", world.do, 1, effect="irreversible")

    async def other_prompt(context: Context, given: str) -> Any:
        await context.step("charge", world.do, 1, effect="irreversible")
        await context.call_model(HELLO, system="Another.")

    async def shorter(context: Context, given: str) -> Any:
        await context.step("charge", world.do, 1, effect="irreversible")

    await world.attempt(old)
    for function, told in ((new, "step 'bill'"), (other_prompt, "model call 'model' with"), (shorter, "ended without")):
        with pytest.raises(AgentChanged, match=told):
            await world.attempt(function)
    assert (world.ran, len(world.bought)) == ([1], 1)


# How an attempt ends


async def stubborn(context: Context, given: str) -> str:
    """Takes every error for one it can live with."""
    try:
        return (await context.call_model(HELLO)).text
    except Exception:
        return "swallowed"


async def shameless(context: Context, given: str) -> str:
    """Takes everything."""
    for _ in range(3):
        try:
            return (await context.call_model(HELLO)).text
        except BaseException:  # noqa: S110
            pass
    return "swallowed"


@pytest.mark.parametrize("function", [stubborn, shameless])
@pytest.mark.parametrize("error", [NoRoomYet(3, outage=False), LeaseLost("job_1"), KeyError("ours")])
async def test_no_function_swallows_what_ends_its_attempt(world: World, function: Function, error: Exception) -> None:
    world.refuse = error
    with pytest.raises(type(error)) as raised:
        await world.attempt(function)
    assert raised.value is error


@pytest.mark.parametrize("function", [stubborn, shameless])
async def test_a_drain_leaves_before_the_next_call_and_so_before_a_step(world: World, function: Function) -> None:
    async def steps(context: Context, given: str) -> Any:
        await context.step("a", world.do, 1)

    world.leave = Drained()
    for one in (function, steps):
        with pytest.raises(Drained):
            await world.attempt(one)
    assert (world.ran, world.bought) == ([], [])


async def test_a_limit_keeps_what_there_is(world: World) -> None:
    async def run(context: Context, given: str) -> Any:
        await context.call_model(HELLO)
        world.limit = Limit(IncompleteReason.MAX_TURNS, "It had one.")
        await context.step("free", world.do, 1)
        await context.call_model([*HELLO, *HELLO])

    ended = await world.attempt(run)

    assert ended == Conclusion(
        Event.STOP_SHORT, output="answer 1", incomplete=IncompleteReason.MAX_TURNS, message="It had one."
    )
    assert (world.ran, len(world.bought)) == ([1], 1)


async def test_when_one_branch_ends_the_attempt_a_step_beside_it_is_let_to_its_receipt(world: World) -> None:
    world.refuse = NoRoomYet(3, outage=False)

    async def pay() -> str:
        await asyncio.sleep(0.05)
        return world.do("paid")

    async def run(context: Context, given: str) -> Any:
        await asyncio.gather(context.step("pay", pay, effect="irreversible"), context.call_model(HELLO))

    with pytest.raises(NoRoomYet):
        await world.attempt(run)

    assert [type(record) for record in world.journal] == [StepIntentRecord, StepRecord]
    assert world.ran == ["paid"]


async def test_a_cancel_reaches_the_function_and_nothing_happens_after_it(world: World) -> None:
    begun = asyncio.Event()
    after: list[BaseException] = []

    async def run(context: Context, given: str) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await context.step("late", world.do, 1)
            except BaseException as error:
                after.append(error)

    attempt = asyncio.create_task(world.attempt(run))
    await begun.wait()
    attempt.cancel()
    await asyncio.wait({attempt})

    assert attempt.cancelled()
    assert [type(error) for error in after] == [Halted]
    assert world.ran == []


async def test_a_function_that_does_not_stop_holds_nobody_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom_loop, "_GRACE_SECONDS", 0.05)
    begun, let_go, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(context: Context, given: str) -> Any:
        begun.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        try:
            await context.step("late", world.do, 1)
        except Halted:
            ended.set()

    attempt = asyncio.create_task(world.attempt(run))
    await begun.wait()
    attempt.cancel()
    await asyncio.wait({attempt}, timeout=10)

    assert attempt.cancelled()
    let_go.set()
    await asyncio.wait_for(ended.wait(), 10)
    assert world.ran == []


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (SystemExit(3), "sys.exit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (asyncio.CancelledError(), "cancelled itself"),
        (KeyError("a"), "a"),
    ],
)
async def test_what_the_function_raises_is_its_own_error(world: World, raised: BaseException, told: str) -> None:
    async def run(context: Context, given: str) -> Any:
        raise raised

    with pytest.raises(KeyError if isinstance(raised, KeyError) else RuntimeError, match=told):
        await world.attempt(run)


# Input and output


class Order(BaseModel):
    number: int
    note: str = "none"


@pytest.mark.parametrize(
    ("returned", "output"),
    [
        ("text", "text"),
        (None, None),
        ({"ü": [1]}, '{"ü": [1]}'),
        (Order(number=1), '{"number":1,"note":"none"}'),
        (["ok", True], '["ok", true]'),
    ],
)
async def test_the_output_is_a_text_or_json(world: World, returned: Any, output: str | None) -> None:
    async def run(context: Context, given: str) -> Any:
        return returned

    assert await world.attempt(run) == succeeded(output)


async def test_other_output_is_refused_in_words(world: World) -> None:
    async def run(context: Context, given: str) -> Any:
        return Odd()

    with pytest.raises(TypeError, match=r"agent custom must return a text, None or JSON: Object of type Odd"):
        await world.attempt(run)


async def test_a_structured_input_arrives_as_its_model() -> None:
    async def run(context: Context, order: Order) -> Any:
        return f"{order.number}: {order.note}"

    assert await World('{"number": 7}').attempt(run) == succeeded("7: none")
    for bad in ('{"number": "many"}', "seven", [{"role": "user", "content": "7"}]):
        ended = await World(bad).attempt(run)
        assert ended.event == Event.FAIL
        assert ended.error is not None
        assert (ended.error.type, ended.error.code) == ("invalid_request", "invalid_input")


async def test_what_the_context_knows(world: World) -> None:
    async def run(context: Context, given: str) -> Any:
        context.logger.info("hello")
        return [context.job_id, context.tenant, context.session_id, given]

    assert await world.attempt(run) == succeeded('["job_1", "ada", "s", "go"]')


# Tool calls that the function runs by itself


async def test_what_the_model_is_told_of_a_tool_call_is_its_receipt(world: World) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "sky"}}
    world.answers = {1: [use]}

    async def run(context: Context, given: str) -> Any:
        messages: list[dict[str, Any]] = list(HELLO)
        while True:
            answer = await context.call_model(messages, tools=[{"name": "look"}])
            if not answer.tool_calls:
                return answer.text
            messages.append({"role": "assistant", "content": answer.content})
            results = [
                {
                    "type": "tool_result",
                    "tool_use_id": call["id"],
                    "content": [
                        {"type": "text", "text": await context.step(call["name"], world.do, call["input"]["at"])}
                    ],
                }
                for call in answer.tool_calls
            ]
            messages.append({"role": "user", "content": results})

    first = await world.attempt(run)

    assert first == await world.attempt(run) == succeeded("answer 2")
    receipts = [record for record in world.journal if isinstance(record, ResultRecord)]
    assert receipts == [ResultRecord(1, "toolu_1", "look", "sky", is_error=False, milliseconds=0)]


# The declaration


def test_the_declaration_says_what_a_caller_needs() -> None:
    @agent(name="orders", chain="cheap", budget=Budget(max_turns=3))
    async def run(context: Context, order: Order) -> str:
        """Looks an order
        through.

        And much more.
        """
        return ""

    entry = run.entry()

    assert (entry.name, entry.kind, entry.chain, entry.tools) == ("orders", "custom", "cheap", [])
    assert entry.description == "Looks an order through."
    assert entry.budget["max_turns"] == 3
    assert entry.input_schema["type"] == "string"
    assert entry.input_schema["contentMediaType"] == "application/json"
    assert entry.input_schema["contentSchema"]["required"] == ["number"]
    assert run.version == agent(name="orders", chain="cheap", budget=Budget(max_turns=3))(run.function).version
    assert run.version != agent(name="orders", chain="dear", budget=Budget(max_turns=3))(run.function).version


def test_the_version_is_that_of_the_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from worker.agents import agent\nPROMPT = 'a'\n@agent(name='x')\nasync def run(context, given): ...\n"
    versions = []
    for module, source in (("one", text), ("two", text), ("three", text.replace("'a'", "'b'"))):
        (tmp_path / f"{module}_of_versions.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        versions.append(__import__(f"{module}_of_versions").run.version)
    assert versions[0] == versions[1] != versions[2]


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (list[dict[str, Any]], {"type": "array"}),
        (str | list[dict[str, Any]], {"anyOf"}),
        (Any, {"anyOf"}),
    ],
)
def test_the_input_is_what_the_hint_says(hint: Any, schema: Any) -> None:
    async def run(context: Context, given: Any) -> None: ...

    run.__annotations__["given"] = hint
    shown = agent(name="x")(run).entry().input_schema
    assert schema <= shown.keys() if isinstance(schema, set) else shown.items() >= schema.items()


async def takes_one(context: Context) -> None: ...


async def takes_numbers(context: Context, given: list[int]) -> None: ...


def not_async(context: Context, given: str) -> None: ...


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (takes_one, r"agent x: decorate an `async def run\(context, input\)`"),
        (not_async, r"agent x: decorate an `async def run\(context, input\)`"),
        (takes_numbers, r"agent x: the input can be str, .* not list\[int\]"),
    ],
)
def test_a_mistake_in_it_is_told_at_import(function: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        agent(name="x")(function)


async def test_the_agent_in_the_docs_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "custom-agents.md").read_text("utf-8")
    (tmp_path / "agent_of_the_docs.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    monkeypatch.syspath_prepend(tmp_path)
    run = registry.load(["agent_of_the_docs"], {"default": cast(Any, None)})["refunds"]
    assert isinstance(run, CustomAgent)
    world = World('{"order": 7, "complaint": "It broke."}')
    world.answers = {1: [{"type": "text", "text": "Yes."}]}

    ended = await world.attempt(run)

    assert ended == succeeded('{"refunded": true, "receipt": "receipt for job_1/pay/1"}')
    assert await world.attempt(run) == ended
    assert [one.mark.name for one in world.journal if isinstance(one, StepRecord)] == ["look up", "pay"]
