"""One attempt at a job: the agent loop's effects, bound to this job, its lease and its journal."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Any

from shared import clock, log
from shared.checkpoints import Checkpoints
from shared.errors import NoRoomYet
from shared.event_log import EventLog
from shared.history import Exchange, before, conversation
from shared.job import IncompleteReason, Job
from shared.mailbox import Mailbox
from shared.pool import Asker, Pool
from shared.redis_client import until_reachable
from shared.scratchpad import Scratchpad
from shared.sessions import Sessions
from shared.turn import BrokenRecord, ModelRecord, Record, ToolCall, Transcript
from shared.usage import dollars
from worker import budget, loop_guard
from worker.agents.agent import Agent
from worker.budget import Limit
from worker.chain import Chain
from worker.chain_caller import ChainCaller, Wanted
from worker.mcp.toolbox import Toolbox
from worker.model_call import CANCELLED, TargetClient
from worker.narrator import Audience, Narrator
from worker.provider import ModelRequest, Question
from worker.purse import Purse
from worker.tool_runner import ToolOutcome, fits, run_tool, verify
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
        toolbox: Toolbox,
        owner: str,
        checkpoints: Checkpoints,
        sessions: Sessions,
        mailbox: Mailbox,
        caller: ChainCaller,
        purse: Purse,
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
        self._toolbox = toolbox
        self._owner = owner
        self._checkpoints = checkpoints
        self._sessions = sessions
        self._mailbox = mailbox
        self._caller = caller
        self._purse = purse
        self._narrator = Narrator(events, owner=owner, job_id=job.id, claim=job.claims, audience=audience)
        self._asker = Asker(agent.name, job.spec.tenant, weight, job.spec.priority)
        self._notes = notes
        self._draining = draining
        self._interrupted = interrupted
        self._started = clock.monotonic() - seconds_before
        self._deadline = None if seconds_to_deadline is None else clock.monotonic() + seconds_to_deadline
        self._first = first
        self._remembered: list[Exchange] = []
        self._saved = 0
        self._mail = job.mail
        self._broken: list[BrokenRecord] = []
        self._shortened = False
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
    def history(self) -> list[dict[str, Any]]:
        """What was asked and answered in the session before this job: messages that every target takes."""
        return conversation(self._remembered, "", with_tools=False)

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
        """The job's conversation so far, after what its session remembers. At its very first start there is none of its
        own."""
        spec = self._job.spec
        if session_id := spec.session_id:
            history = await until_reachable(lambda: self._sessions.history(spec.tenant, session_id))
            self._remembered = before(history, spec.forked_from)
        if self._first and spec.forked_from is None:
            return Transcript(spec.input, [])
        records = await until_reachable(lambda: self._checkpoints.load(self._job.id))
        self._saved = len(records)
        inherited = spec.forked_from.records if spec.forked_from else 0
        return Transcript(spec.input, records, inherited=inherited)

    async def equipped(self) -> Agent:
        """Its agent with the tools that MCP servers offer now; they stay the same for this attempt."""
        self._agent = await self._toolbox.equip(self._agent)
        return self._agent

    def stay(self) -> None:
        """Raises to leave the job: to another worker, or because it is no longer wanted."""
        if self._interrupted():  # a tool may have swallowed the cancel
            raise asyncio.CancelledError
        if self._draining.is_set():
            raise Drained

    def limit_reached(self, transcript: Transcript) -> Limit | None:
        self.stay()
        if self._deadline is not None and clock.monotonic() >= self._deadline:
            return Limit(IncompleteReason.DEADLINE_EXCEEDED, "Its deadline has come.")
        seconds, used = clock.monotonic() - self._started, transcript.usage
        spent = budget.exhausted(self._job.spec.budget, used, turns=transcript.own_turns, seconds=seconds)
        return spent or self._loop(transcript)

    def _loop(self, transcript: Transcript) -> Limit | None:
        if transcript.spoken_to:  # which may be what gets it out of there
            return None
        repeats = self._agent.max_repeats
        found = loop_guard.loop_in(transcript, self._agent.tools_by_name, repeats) if repeats else None
        if found is None:
            return None
        cost = f"The job has cost {dollars(transcript.usage.cost_nano)} dollars in {transcript.own_turns} turns."
        return Limit(IncompleteReason.LOOP_DETECTED, f"{found}. {cost}")

    async def call_model(self, transcript: Transcript, turn: int) -> ModelRecord:
        agent = self._agent
        question = Question(
            agent.system,
            lambda target: self._before(target) + transcript.messages(target),
            agent.tool_schemas(),
            agent.max_output_tokens,
            goes_on=bool(agent.tools or self._job.spec.session_id),
        )
        known = transcript.last_model
        return await self.ask(question, transcript, turn, partial(fits, agent.tools_by_name), known=known)

    async def ask(
        self,
        question: Question,
        transcript: Transcript,
        turn: int,
        fits: Callable[[ToolCall], bool],
        *,
        known: ModelRecord | None = None,
    ) -> ModelRecord:
        """The answer of the first target of the chain that can serve. `fits` tells whether a tool call of the model is
        one that can be run, `known` is the call whose conversation the question goes on with, if it does."""
        last = transcript.last_model
        wanted = Wanted(
            job_id=self._job.id,
            asker=self._asker,
            turn=turn,
            last_target=last.target if last else None,
            fits=fits,
            request=lambda target: self._affordable(question, transcript, target, known),
        )
        self._narrator.turn_started(turn)
        try:
            record = await self._caller.call(
                self._chain,
                wanted,
                on_text=self._narrator.text,
                leaving=self._draining,
                on_broken=self._broke_off,
            )
        except NoRoomYet:
            if self._draining.is_set():  # the turn has not begun
                raise Drained from None
            raise
        except BaseException:
            self._purse.let_go()
            raise
        finally:
            await self._write_off(transcript)  # after a cancel, too: what it cost is known only here
        self._answered = True
        return replace(record, shortened=self._shortened)

    async def _affordable(
        self, question: Question, transcript: Transcript, target: TargetClient, known: ModelRecord | None
    ) -> ModelRequest:
        """What this target is asked, with as long an answer as the job has money and tokens for."""
        await self._write_off(transcript)
        whole = question.to(target.name, question.max_tokens)
        fitting = await self._purse.fit(whole, target, transcript.usage, known)
        self._shortened = fitting.max_tokens < whole.max_tokens
        return fitting

    def _broke_off(self, broken: BrokenRecord) -> None:
        if broken.why != CANCELLED:  # it is asked for anew
            self._narrator.broke_off()
        if broken.usage.total_tokens:
            self._broken.append(broken)

    async def _write_off(self, transcript: Transcript) -> None:
        """What broke off was paid for: it is written down before anything else is spent, or the job is left."""
        while self._broken:
            broken = self._broken.pop(0)
            await self.save(broken)
            transcript.append(broken)

    def _before(self, target: str) -> list[dict[str, Any]]:
        """What was said in the session before this job."""
        return conversation(self._remembered, target, with_tools=bool(self._agent.tools))

    async def run_tool(self, call: ToolCall) -> ToolOutcome:
        context = ToolContext(
            idempotency_key=self._key(call),
            tenant=self._job.spec.tenant,
            job_id=self._job.id,
            session_id=self._job.spec.session_id,
            notes=self._notes,
            logger=log.get("tool").bind(logger="tool", job=self._job.id, tool=call.name),
        )
        self._narrator.tool_started(call)
        return await run_tool(self._agent.tools_by_name[call.name], call, context)

    async def verify(self, call: ToolCall) -> bool | str | None:
        tool = self._agent.tools_by_name.get(call.name)
        return await verify(tool, call, self._key(call)) if tool else None

    def _key(self, call: ToolCall) -> str:
        """The call's idempotency key."""
        origin = self._job.spec.forked_from
        job_id = origin.call_keys if origin and call.turn <= origin.turn else self._job.id
        return f"{job_id}/{call.turn}/{call.id}"

    async def save(self, record: Record) -> None:
        async with self._narrator.saving(record) as told, self._purse.settling(record) as reserved_nano:
            write = partial(self._checkpoints.append, self._owner, self._job.id, self._saved, record, told)
            self._mail = await until_reachable(lambda: write(reserved_nano=reserved_nano))
            self._saved += 1

    async def hear(self, transcript: Transcript) -> None:
        """The job's record and each checkpoint tell whether there is something; while not, this costs nothing."""
        if not self._mail:
            return
        ask = partial(self._mailbox.hear, self._owner, self._job.id, self._saved, transcript.turns)
        for message in await until_reachable(ask):
            transcript.append(message)
            self._saved += 1
        self._mail = False
