"""The agent loop: what an agent does with a job, turn by turn. It does no I/O of its own; effects are passed in.

A turn is one model call and its tool calls. Each thing that happened is saved before the next one begins, so a loop
that is started again on the saved transcript goes on where the last one stopped.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.job import STOPPED_SHORT, IncompleteReason
from shared.queue import Conclusion
from shared.states import Event
from shared.turn import IntentRecord, ModelRecord, Record, ResultRecord, ToolCall, Transcript
from worker.agents.agent import Agent
from worker.budget import Limit
from worker.next_step import Question, Step, after_check, after_lateness, introduced, next_step
from worker.tool_runner import ToolOutcome

_CUT_BY_BUDGET = Limit(IncompleteReason.BUDGET_EXCEEDED, "No longer answer fitted what was left of the limits.")


@dataclass(frozen=True, slots=True)
class Ask:
    """The job cannot go on before a person has answered these: all that its last turn has to ask, at once."""

    questions: Sequence[Question]


class Effects(Protocol):
    """What the loop needs of the world."""

    def limit_reached(self, transcript: Transcript) -> Limit | None:
        """Asked before each turn: may the job go on? Raises to leave the job to another worker."""
        ...

    async def call_model(self, transcript: Transcript, turn: int) -> ModelRecord: ...

    async def run_tool(self, call: ToolCall) -> ToolOutcome: ...

    async def verify(self, call: ToolCall) -> bool | str | None:
        """Whether a call that was begun has happened: see `worker.tools.Verify`."""
        ...

    async def hear(self, transcript: Transcript) -> None:
        """Adds to the transcript what was said to the job meanwhile; it is kept before this returns."""
        ...

    async def save(self, record: Record) -> None:
        """Keeps the record, durably and in order, before it returns."""
        ...


async def run_agent(agent: Agent, transcript: Transcript, effects: Effects) -> Conclusion | Ask:
    """Goes on with the transcript until the agent has its answer, a limit stops it or a person has to be asked."""
    while True:
        if questions := await _settle_tools(agent, transcript, effects):
            return Ask(questions)
        if not _stopped(transcript):
            await effects.hear(transcript)
        if conclusion := _concluded(transcript):
            return conclusion
        if limit := effects.limit_reached(transcript):
            return stopped_short(transcript, limit)
        record = await effects.call_model(transcript, transcript.turns + 1)
        await effects.save(record)
        transcript.append(record)


def stopped_short(transcript: Transcript, limit: Limit) -> Conclusion:
    """The end of a job that keeps what it has."""
    return Conclusion(Event.STOP_SHORT, output=transcript.text, incomplete=limit.reason, message=limit.message)


def _stopped(transcript: Transcript) -> bool:
    """The last answer was stopped short: whatever is said to the job, it ends."""
    last = transcript.last_model
    return last is not None and last.stop_reason in STOPPED_SHORT


def _concluded(transcript: Transcript) -> Conclusion | None:
    """How the job ends if its last turn was the last one, and nobody has said anything since."""
    last = transcript.last_model
    if last is None or last.stop_reason == "pause_turn" or last.calls_tools or transcript.spoken_to:
        return None
    if last.stop_reason == "max_tokens" and last.shortened:
        return stopped_short(transcript, _CUT_BY_BUDGET)
    if reason := STOPPED_SHORT.get(last.stop_reason):
        return Conclusion(Event.STOP_SHORT, output=transcript.text, incomplete=reason)
    return Conclusion(Event.SUCCEED, output=transcript.text)


async def _settle_tools(agent: Agent, transcript: Transcript, effects: Effects) -> list[Question]:
    """Gives every tool call of the last turn its result: reads beside each other first, then the others in order. From
    the first on that a person has to decide about none is run; returned is all that the turn has to ask."""
    tools = agent.tools_by_name
    calls = transcript.unanswered()
    lock = asyncio.Lock()

    async def settle(call: ToolCall) -> Question | None:
        step = next_step(tools, call)
        if step is Step.CHECK:
            step = after_check(call, await effects.verify(call))
        if step is Step.RUN:
            step = await run(call)
        if isinstance(step, ToolOutcome):
            await keep(ResultRecord(call.turn, call.id, call.name, step.content, step.is_error, step.milliseconds))
        return step if isinstance(step, Question) else None

    async def run(call: ToolCall) -> Question | ToolOutcome:
        tool = tools[call.name]
        if not tool.effect.repeatable:
            await keep(IntentRecord(call.turn, call.id))
        outcome = await effects.run_tool(call)
        if outcome.unknown:
            return after_lateness(tool, call, outcome, await effects.verify(call))
        return introduced(call, outcome)

    async def keep(record: Record) -> None:
        async with lock:
            await effects.save(record)
            transcript.append(record)

    reads = [call for call in calls if _runs_beside_others(agent, call)]
    try:
        async with asyncio.TaskGroup() as group:
            for call in reads:
                group.create_task(settle(call))
    except BaseExceptionGroup as failed:  # a lost lease, a cancel: the first says it for all
        raise failed.exceptions[0] from None
    questions: list[Question] = []
    for call in calls:
        if call in reads:
            continue
        question = next_step(tools, call) if questions else await settle(call)
        if isinstance(question, Question):
            questions.append(question)
    return questions


def _runs_beside_others(agent: Agent, call: ToolCall) -> bool:
    """A read, unless a person has to say whether it may."""
    tool = agent.tools_by_name.get(call.name)
    return tool is not None and tool.effect == "read" and not isinstance(next_step(agent.tools_by_name, call), Question)
