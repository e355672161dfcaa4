"""One attempt at a job: the agent loop's effects, bound to this job, its lease and its journal."""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from functools import partial

from shared import clock, log
from shared.checkpoints import Checkpoints
from shared.errors import NoRoomYet
from shared.event_log import EventLog
from shared.job import IncompleteReason, Job
from shared.pool import Asker, Pool
from shared.redis_client import until_reachable
from shared.scratchpad import Scratchpad
from shared.turn import ModelRecord, Record, ToolCall, Transcript
from worker import budget
from worker.agents.agent import Agent
from worker.chain import Chain
from worker.chain_caller import ChainCaller, Wanted
from worker.narrator import Audience, Narrator
from worker.provider import Question
from worker.tool_runner import ToolOutcome, fits, run_tool
from worker.tools import ToolContext


class Interruption(StrEnum):
    """Why a running attempt was told to stop."""

    CANCEL = "cancel"
    LEASE_LOST = "lease_lost"
    DRAIN = "drain"


class Drained(Exception):
    """The worker is leaving: the job goes back between two turns."""


class Attempt:
    """Implements `worker.agent_loop.Effects` for one job."""

    def __init__(
        self,
        *,
        job: Job,
        agent: Agent,
        chain: Chain,
        owner: str,
        checkpoints: Checkpoints,
        caller: ChainCaller,
        events: EventLog,
        audience: Audience,
        weight: float,
        notes: Scratchpad,
        draining: asyncio.Event,
        interrupted: Callable[[], bool],
        seconds_before: float,
        seconds_to_deadline: float | None,
        first: bool,
    ) -> None:
        self._job = job
        self._agent = agent
        self._chain = chain
        self._owner = owner
        self._checkpoints = checkpoints
        self._caller = caller
        self._narrator = Narrator(events, owner=owner, job_id=job.id, claim=job.claims, audience=audience)
        self._asker = Asker(agent.name, job.spec.tenant, weight, job.spec.priority)
        self._notes = notes
        self._draining = draining
        self._interrupted = interrupted
        self._started = clock.monotonic() - seconds_before
        self._deadline = None if seconds_to_deadline is None else clock.monotonic() + seconds_to_deadline
        self._first = first
        self._saved = 0
        self._answered = False

    @property
    def pools(self) -> dict[str, Pool]:
        """Whose budgets its model calls may use, by name."""
        return {target.pool.name: target.pool for target in self._chain.targets}

    @property
    def job(self) -> Job:
        """As it was when this attempt began."""
        return self._job

    @property
    def notes(self) -> Scratchpad:
        return self._notes

    @property
    def parks(self) -> int:
        """How often the provider has kept this job waiting since it last answered."""
        return 0 if self._answered else self._job.parks

    @property
    def failures(self) -> int:
        """How often the agent has failed before, in this job."""
        return self._job.failures

    def seconds_left(self) -> float | None:
        """How long the job may still run, by its budget and its deadline; None is for ever."""
        limit = self._job.spec.budget.max_seconds
        ends = [self._deadline] if self._deadline is not None else []
        ends += [self._started + limit] if limit is not None else []
        return max(0.0, min(ends) - clock.monotonic()) if ends else None

    async def aclose(self) -> None:
        """It tells nothing any more."""
        await self._narrator.close()

    async def load(self) -> Transcript:
        """The job's conversation so far. At its very first start there is none."""
        if self._first:
            return Transcript(self._job.spec.input, [])
        records = await until_reachable(lambda: self._checkpoints.load(self._job.id))
        self._saved = len(records)
        return Transcript(self._job.spec.input, records)

    def stay(self) -> None:
        """Raises to leave the job: to another worker, or because it is no longer wanted."""
        if self._interrupted():  # a tool may have swallowed the cancel
            raise asyncio.CancelledError
        if self._draining.is_set():
            raise Drained

    def limit_reached(self, transcript: Transcript) -> IncompleteReason | None:
        self.stay()
        if self._deadline is not None and clock.monotonic() >= self._deadline:
            return IncompleteReason.DEADLINE_EXCEEDED
        seconds = clock.monotonic() - self._started
        return budget.exhausted(self._job.spec.budget, transcript.usage, turns=transcript.turns, seconds=seconds)

    async def call_model(self, transcript: Transcript, turn: int) -> ModelRecord:
        agent = self._agent
        question = Question(agent.system, transcript.messages, agent.tool_schemas(), agent.max_output_tokens)
        return await self.ask(question, transcript, turn, partial(fits, agent.tools_by_name))

    async def ask(
        self, question: Question, transcript: Transcript, turn: int, fits: Callable[[ToolCall], bool]
    ) -> ModelRecord:
        """The answer of the first target of the chain that can serve. `fits` tells whether a tool call of the model is
        one that can be run."""
        allowance = budget.output_allowance(self._job.spec.budget, transcript.usage, question.max_tokens)
        last = transcript.last_model
        wanted = Wanted(
            job_id=self._job.id,
            asker=self._asker,
            turn=turn,
            last_target=last.target if last else None,
            fits=fits,
            request=lambda target: question.to(target, allowance),
        )
        self._narrator.turn_started(turn)
        try:
            record = await self._caller.call(
                self._chain,
                wanted,
                on_text=self._narrator.text,
                leaving=self._draining,
                on_broken=self._narrator.broke_off,
            )
        except NoRoomYet:
            if self._draining.is_set():  # the turn has not begun
                raise Drained from None
            raise
        self._answered = True
        return record

    async def run_tool(self, call: ToolCall) -> ToolOutcome:
        key = f"{self._job.id}/{call.turn}/{call.id}"
        context = ToolContext(
            idempotency_key=key,
            tenant=self._job.spec.tenant,
            job_id=self._job.id,
            session_id=self._job.spec.session_id,
            notes=self._notes,
            logger=log.get("tool").bind(logger="tool", job=self._job.id, tool=call.name),
        )
        self._narrator.tool_started(call)
        return await run_tool(self._agent.tools_by_name[call.name], call, context)

    async def save(self, record: Record) -> None:
        index = self._saved
        async with self._narrator.saving(record) as told:
            await until_reachable(lambda: self._checkpoints.append(self._owner, self._job.id, index, record, told))
        self._saved += 1
