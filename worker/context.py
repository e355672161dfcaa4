"""What a custom agent's function is given: model calls and steps that are remembered over crashes, deploys and parking.

A call is answered from the journal if it was made before; else it is made, and saved before its result is handed out.
What ends an attempt (no room at the gate, a drain, a limit, a lost lease …) is not for the function to handle: it is
kept here for `worker.custom_loop`, and inside the function it is a `Halted`, which no `except Exception` catches.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Protocol, TypeVar, cast

from structlog.typing import FilteringBoundLogger

from shared import log
from shared.job import Job
from shared.scratchpad import Scratchpad
from shared.step import Mark, StepRecord
from shared.turn import Block, ModelRecord, Record, ToolCall, Transcript
from shared.usage import Usage
from worker.budget import Limit
from worker.halts import Halted, LimitReached, PersonNeeded, StepFailed
from worker.next_step import Question as ToPerson
from worker.provider import Question
from worker.receipts import receipts
from worker.replay import MODEL, STEP, Replay, fingerprint
from worker.step_call import StepCall, StepVerify, decided
from worker.step_runner import StepOutcome, run_step
from worker.tools import Effect, Tool


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What the model said: content blocks of the Messages API, why it stopped, and what that cost."""

    content: list[Block]
    stop_reason: str
    usage: Usage
    model: str

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.content if block["type"] == "text")

    @property
    def tool_calls(self) -> list[Block]:
        """The `tool_use` blocks, each with `id`, `name` and `input`."""
        return [block for block in self.content if block["type"] == "tool_use"]


class Means(Protocol):
    """What the context needs of the world: `worker.attempt.Attempt`."""

    @property
    def job(self) -> Job: ...
    @property
    def notes(self) -> Scratchpad: ...
    @property
    def history(self) -> list[dict[str, Any]]: ...
    def stay(self) -> None: ...
    def limit_reached(self, transcript: Transcript) -> Limit | None: ...
    async def ask(
        self, question: Question, transcript: Transcript, turn: int, fits: Callable[[ToolCall], bool]
    ) -> ModelRecord: ...
    async def save(self, record: Record) -> None: ...


Told = TypeVar("Told", bound=StepOutcome | None)


class Context:
    """Given to a custom agent's function as its first argument."""

    def __init__(self, transcript: Transcript, means: Means, max_output_tokens: int) -> None:
        self._transcript = transcript
        self._means = means
        self._max_output_tokens = max_output_tokens
        self._replay = Replay(transcript.records)
        self._task: asyncio.Task[Any] | None = None
        self._failures: list[StepRecord] = []
        self.questions: list[ToPerson] = []
        self._asking, self._saving = asyncio.Lock(), asyncio.Lock()
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.halted = asyncio.Event()
        self.halted_by: Exception | None = None
        job = means.job
        self.job_id: str = job.id
        self._keys_of = (job.spec.forked_from and job.spec.forked_from.step_keys) or job.id
        self.tenant: str = job.spec.tenant
        self.session_id: str | None = job.spec.session_id
        self.notes: Scratchpad = means.notes
        self.history: list[dict[str, Any]] = means.history
        self.logger: FilteringBoundLogger = log.get("agent").bind(logger="agent", job=job.id)

    def begin(self) -> None:
        """Called in the task that runs the function."""
        self._task = asyncio.current_task()

    def call_model(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        system: str = "",
        tools: Sequence[Tool | Mapping[str, Any]] = (),
        max_tokens: int | None = None,
        name: str = "model",
    ) -> Coroutine[Any, Any, ModelAnswer]:
        """Asks the agent's chain through the gate; a turn of the job. `messages` and `tools` as the Messages API takes
        them; `max_tokens` is the agent's own limit unless less is asked for. One call of a job is made at a time.

        Give branches that run beside each other a `name` each: by it a call is found again (docs/custom-agents.md).
        """
        schemas = [tool.schema() if isinstance(tool, Tool) else dict(tool) for tool in tools]
        conversation = [dict(message) for message in deepcopy(list(messages))]
        most = self._max_output_tokens if max_tokens is None else min(max_tokens, self._max_output_tokens)
        question = Question(system, lambda target: conversation, schemas, most, goes_on=bool(schemas))
        asked = fingerprint(system, conversation, schemas, most)
        return self._call_model(self._mark(MODEL, name, asked), conversation, question)

    def step(
        self,
        name: str,
        function: Callable[..., Any],
        /,
        *args: Any,
        effect: Literal["read", "idempotent", "compensable", "irreversible"] = "idempotent",
        timeout: float = 60.0,
        verify: StepVerify | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, Any]:
        """What `function(*args, **kwargs)` returns, which must be JSON; remembered, so that it runs once. A sync
        function runs in a thread. Raises StepFailed when it raises or does not end within `timeout` seconds.

        After a crash in the middle of it, it runs again if `effect` is `read` or `idempotent`; else `verify` is asked
        (see `worker.step_call.StepVerify`), and then a person, for whom the job waits.
        """
        kind, key = Effect(effect), self.idempotency_key(name)
        mark = self._mark(STEP, name, fingerprint(args, kwargs))
        return self._step(StepCall(mark, partial(function, *args, **kwargs), kind, timeout, verify, key))

    def idempotency_key(self, name: str) -> str:
        """The key of the next step of this name, the same for every attempt at it: for whatever the step calls."""
        return self._replay.key(name) or f"{self._keys_of}/{name}/{self._replay.count(STEP, name) + 1}"

    def halt(self, error: Exception) -> None:
        """Ends the attempt; the first reason counts."""
        if self.halted_by is None:
            self.halted_by = error
        self.halted.set()

    async def quiet(self) -> None:
        """Returns once no step and no model call is under way; what came of it is saved then."""
        await self._quiet.wait()

    def not_asked_for(self) -> list[str]:
        """Once the function has returned: what is recorded and was not asked for. Raises AgentChanged."""
        return self._replay.close()

    def _mark(self, kind: str, name: str, asked: str) -> Mark:
        return self._replay.mark(kind, name, asked, alone=asyncio.current_task() is self._task)

    async def _call_model(self, mark: Mark, messages: list[dict[str, Any]], question: Question) -> ModelAnswer:
        with self._halting():
            recorded = cast(ModelRecord | None, self._replay.answer(MODEL, mark)) or await self._bought(
                mark, messages, question
            )
        return ModelAnswer(deepcopy(recorded.content), recorded.stop_reason, recorded.usage, recorded.model)

    async def _bought(self, mark: Mark, messages: list[dict[str, Any]], question: Question) -> ModelRecord:
        async with self._asking, self._being_done():
            await self._go_on()
            for receipt in receipts(self._transcript, messages):
                await self._save(receipt)
            if limit := self._means.limit_reached(self._transcript):
                raise LimitReached(limit)
            names = {tool.get("name") for tool in question.tools}
            turn = self._transcript.turns + 1
            record = await self._means.ask(question, self._transcript, turn, lambda call: call.name in names)
            record = replace(record, mark=mark)
            await self._save(record)
            return record

    async def _step(self, call: StepCall) -> Any:
        cause, mark = None, call.mark
        with self._halting(asks=self._replay.begun(mark)):
            recorded = cast(StepRecord | None, self._replay.answer(STEP, mark))
            if recorded is None:
                recorded, cause = await self._ran(call)
        if recorded.error:
            raise StepFailed(mark.name, recorded.error) from cause
        return recorded.result

    async def _ran(self, call: StepCall) -> tuple[StepRecord, BaseException | None]:
        async with self._being_done():
            await self._go_on(asks=self._replay.begun(call.mark))
            outcome = await self._known(call) or await self._made(call)
            record = call.receipt(self._transcript.turns, outcome)
            if record.error and call.effect.repeatable:
                self._failures.append(record)  # kept once the function goes on from it; else it runs again
            else:
                await self._save(record)
        return record, outcome.cause

    async def _known(self, call: StepCall) -> StepOutcome | None:
        """What became of a step that must not run twice, as far as it was begun before; None: it may run."""
        if call.effect.repeatable or not self._replay.begun(call.mark):
            return None
        if decision := self._replay.decided(call.mark):
            return decided(decision)
        return self._told(await call.after_death(self._transcript.turns))

    async def _made(self, call: StepCall) -> StepOutcome:
        self._raise_if_halted()
        if call.effect.repeatable:
            return await run_step(call.function, call.seconds)
        await self._save(call.intent(self._transcript.turns))
        outcome = await run_step(call.function, call.seconds)
        if not outcome.late:
            return outcome
        return self._told(await call.after_lateness(self._transcript.turns, outcome))

    def _told(self, found: Told | ToPerson) -> Told:
        """Raises PersonNeeded when only a person can say more."""
        if isinstance(found, ToPerson):
            self.questions.append(found)
            raise PersonNeeded
        return found

    async def _go_on(self, *, asks: bool = False) -> None:
        """Before something new is done. Raises to leave the job."""
        self._raise_if_halted(asks=asks)
        self._means.stay()
        while self._failures:
            await self._save(self._failures.pop(0))

    async def _save(self, record: Record) -> None:
        async with self._saving:
            await self._means.save(record)
            self._transcript.append(record)

    @asynccontextmanager
    async def _being_done(self) -> AsyncIterator[None]:
        """What an attempt that ends waits for: it was paid for, or has had its effect."""
        self._under_way += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    @contextmanager
    def _halting(self, *, asks: bool = False) -> Iterator[None]:
        """Whatever goes wrong in here ends the attempt."""
        self._raise_if_halted(asks=asks)
        try:
            yield
        except Exception as error:
            self.halt(error)
            raise Halted from None

    def _raise_if_halted(self, *, asks: bool = False) -> None:
        """What may have to ask a person joins a branch that does: all that is to be asked is asked at once."""
        if self.halted.is_set() and not (asks and isinstance(self.halted_by, PersonNeeded)):
            raise Halted
