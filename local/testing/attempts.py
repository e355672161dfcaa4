"""The attempts at one job of a test: the worker's own, with a scripted model and nothing outside memory.

What is replaced is what leaves the process: the model, the gate, and what is kept in Redis. Loop, tools, limits, loop
guard, prices, retries and how a job ends are the worker's. Only the pauses between attempts are left out.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

from local.testing.log import log_plainly
from local.testing.memory import Journal, Notes, OpenGate
from local.testing.model import ScriptedModel
from local.testing.replies import Messages, Replies, ScriptError
from shared import clock, ids
from shared.action import Asked, DecisionRecord
from shared.checkpoints import Checkpoints
from shared.gate import Gate
from shared.job import Budget, Job, JobSpec
from shared.pool import pool_of
from shared.scratchpad import Scratchpad
from shared.sections import Target
from shared.turn import Transcript
from worker.agent_loop import Ask
from worker.agents import Agent
from worker.asking import asked
from worker.attempt import Attempt
from worker.chain import Chain
from worker.chain_caller import ChainCaller
from worker.executor import try_once
from worker.mcp.toolbox import Toolbox
from worker.model_call import ModelCaller, TargetClient
from worker.narrator import Audience
from worker.provider import ModelRequest
from worker.purse import Purse
from worker.verdict import Verdict

_OWNER = "test"
_PATIENCE_SECONDS = 60.0
_UNUSED: Any = None
"""In place of what is only asked about sessions, messages, followers, fallbacks and outages; there are none."""


class Attempts:
    def __init__(
        self, agent: Agent, input: str | Messages, replies: Replies, crash_after: int | None, tenant: str
    ) -> None:
        log_plainly()
        self._agent = replace(agent, mcp=())  # whose servers are not asked
        self.journal = Journal(crash_after)
        self.failures = 0
        """How often the agent's own code has raised."""
        self._model = ScriptedModel(replies, self.journal)
        self._notes = Notes()
        target = Target()
        client = TargetClient("default", target.provider, target.model, pool_of(target), self._model)
        self._chain = Chain(agent.chain, (client,))
        self._caller = ChainCaller(ModelCaller(cast(Gate, OpenGate()), _PATIENCE_SECONDS), _UNUSED)
        spec = JobSpec(tenant, agent.name, input, agent.chain, Budget.of(agent.entry().budget))
        self._job = Job.new(ids.new_job_id(), spec, 0, wait_reason=None, next_attempt_ms=None, expires_ms=None)
        self._started = clock.monotonic()

    @property
    def requests(self) -> list[ModelRequest]:
        return self._model.requests

    async def next(self) -> tuple[Transcript, Verdict]:
        """What the next attempt makes of the job. Raises LeaseLost when its worker dies, and ScriptError."""
        job = replace(self._job, failures=self.failures)
        async with aclosing(self._attempt(job)) as attempt:
            transcript = await attempt.load()
            try:
                verdict = await try_once(self._agent, transcript, attempt, _UNUSED)
            finally:
                if self._model.failed:
                    raise self._model.failed from None
        return transcript, verdict

    def _attempt(self, job: Job) -> Attempt:
        return Attempt(
            job=job,
            agent=self._agent,
            chain=self._chain,
            owner=_OWNER,
            checkpoints=cast(Checkpoints, self.journal),
            sessions=_UNUSED,
            mailbox=_UNUSED,
            toolbox=Toolbox({}),
            caller=self._caller,
            purse=Purse(job, _OWNER, _UNUSED, daily_nano=0),
            events=_UNUSED,
            audience=Audience(),
            weight=1,
            notes=cast(Scratchpad, self._notes),
            draining=asyncio.Event(),
            interrupted=lambda: False,
            seconds_before=clock.monotonic() - self._started,
            seconds_to_deadline=None,
            first=not len(self.journal),
        )

    def hear(self, said: Sequence[DecisionRecord]) -> None:
        """Persons have decided."""
        for record in said:
            self.journal.decide(record)

    def asked(self, ask: Ask) -> list[Asked]:
        """What persons would be shown."""
        return [asked(self._job, self._agent.tools_by_name, question) for question in ask.questions]

    def check_crash(self) -> None:
        """Raises ScriptError when the worker was to die and has not: such a test proves nothing."""
        if self.journal.dies_after is not None:
            raise ScriptError(
                f"crash_after={self.journal.dies_after}: the job ended with {len(self.journal)} records in its journal"
            )
