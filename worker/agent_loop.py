"""The agent loop: what an agent does with a job, turn by turn. It does no I/O of its own; effects are passed in.

A turn is one model call and its tool calls. Each thing that happened is saved before the next one begins, so a loop
that is started again on the saved transcript goes on where the last one stopped.
"""

import asyncio
from typing import Protocol

from shared.job import IncompleteReason
from shared.queue import Conclusion
from shared.states import Event
from shared.turn import IntentRecord, ModelRecord, Record, ResultRecord, ToolCall, Transcript
from worker.agents.agent import Agent
from worker.budget import Limit
from worker.tool_runner import ToolOutcome, refusal

_STOPPED_SHORT = {
    "max_tokens": IncompleteReason.MAX_TOKENS,
    "model_context_window_exceeded": IncompleteReason.MAX_TOKENS,
    "refusal": IncompleteReason.REFUSAL,
}

_CUT_BY_BUDGET = Limit(IncompleteReason.BUDGET_EXCEEDED, "No longer answer fitted what was left of the limits.")


class Effects(Protocol):
    """What the loop needs of the world."""

    def limit_reached(self, transcript: Transcript) -> Limit | None:
        """Asked before each turn: may the job go on? Raises to leave the job to another worker."""
        ...

    async def call_model(self, transcript: Transcript, turn: int) -> ModelRecord: ...

    async def run_tool(self, call: ToolCall) -> ToolOutcome: ...

    async def save(self, record: Record) -> None:
        """Keeps the record, durably and in order, before it returns."""
        ...


async def run_agent(agent: Agent, transcript: Transcript, effects: Effects) -> Conclusion:
    """Goes on with the transcript until the agent has its answer or a limit stops it."""
    while True:
        await _settle_tools(agent, transcript, effects)
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


def _concluded(transcript: Transcript) -> Conclusion | None:
    """How the job ends if its last turn was the last one."""
    last = transcript.last_model
    if last is None or last.stop_reason == "pause_turn" or last.calls_tools:
        return None
    if last.stop_reason == "max_tokens" and last.shortened:
        return stopped_short(transcript, _CUT_BY_BUDGET)
    if reason := _STOPPED_SHORT.get(last.stop_reason):
        return Conclusion(Event.STOP_SHORT, output=transcript.text, incomplete=reason)
    return Conclusion(Event.SUCCEED, output=transcript.text)


async def _settle_tools(agent: Agent, transcript: Transcript, effects: Effects) -> None:
    """Gives every tool call of the last turn its result: reads beside each other first, then the others in order."""
    tools = agent.tools_by_name
    calls = transcript.unanswered()
    reads = [call for call in calls if call.name in tools and tools[call.name].effect == "read"]
    lock = asyncio.Lock()

    async def settle(call: ToolCall) -> None:
        outcome = refusal(tools, call)
        if outcome is None:
            if not tools[call.name].effect.repeatable:
                await keep(IntentRecord(call.turn, call.id))
            outcome = await effects.run_tool(call)
        await keep(ResultRecord(call.turn, call.id, call.name, outcome.content, outcome.is_error, outcome.milliseconds))

    async def keep(record: Record) -> None:
        async with lock:
            await effects.save(record)
            transcript.append(record)

    try:
        async with asyncio.TaskGroup() as group:
            for call in reads:
                group.create_task(settle(call))
    except BaseExceptionGroup as failed:  # a lost lease, a cancel: the first says it for all
        raise failed.exceptions[0] from None
    for call in calls:
        if call not in reads:
            await settle(call)
