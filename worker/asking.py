"""Asking persons: what the loop wants to know, written down for whoever decides, and the job parked until then."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared import ids
from shared.action import Asked
from shared.actions import Actions
from shared.job import Job
from shared.states import Status
from worker.agent_loop import Ask
from worker.next_step import Question
from worker.tools import Tool


@dataclass(frozen=True, slots=True)
class Desk:
    """Where questions are handed in: each waits `wait_ms` for its answer."""

    actions: Actions
    wait_ms: int
    retention_ms: int

    async def ask(self, owner: str, job: Job, tools: Mapping[str, Tool], ask: Ask) -> Status:
        """The status that the job has now. Raises LeaseLost and StoreUnavailable."""
        questions = [asked(job, tools, one) for one in ask.questions]
        return await self.actions.ask(owner, job, questions, wait_ms=self.wait_ms, retention_ms=self.retention_ms)


def asked(job: Job, tools: Mapping[str, Tool], question: Question) -> Asked:
    """A step is no tool; and a tool may be gone, when another version of the agent has begun the call."""
    call, tool = question.call, tools.get(question.call.name)
    return Asked(
        id=ids.new_action_id(),
        job_id=job.id,
        agent=job.spec.agent,
        kind=question.kind,
        turn=call.turn,
        tool_call_id=call.id,
        tool=call.name,
        effect=tool.effect if tool else question.effect,
        input=call.input,
        input_schema=tool.schema()["input_schema"] if tool else {},
        note=question.note,
    )
