"""A custom agent's function in place of the loop: run from its top with each attempt, in a task of its own."""

import asyncio
import json
from typing import Any

from pydantic import BaseModel

from shared import log
from shared.errors import LeaseLost
from shared.queue import Conclusion
from shared.states import Event
from shared.turn import Transcript
from worker.agent_loop import Ask, stopped_short
from worker.agents.custom import CustomAgent
from worker.context import Context, Means
from worker.halts import Halted, LimitReached, PersonNeeded
from worker.verdict import failed

logger = log.get(__name__)

_GRACE_SECONDS = 5.0
"""How long a function that is stopped has for its `finally` blocks."""


async def run_custom(agent: CustomAgent, transcript: Transcript, means: Means) -> Conclusion | Ask:
    """Goes on until the function has returned, a limit stops it or a person has to be asked. Raises as
    `worker.agent_loop.run_agent` does, what the function raises, and AgentChanged."""
    try:
        given = agent.form.read(means.job.spec.input)
    except ValueError as error:
        return failed("invalid_request", "invalid_input", str(error), retryable=False)
    context = Context(transcript, means, agent.max_output_tokens)
    try:
        result = await _run(agent, context, given)
    except LimitReached as reached:
        return stopped_short(transcript, reached.limit)
    except PersonNeeded:
        return Ask(context.questions)
    return Conclusion(Event.SUCCEED, output=_output(agent, result))


async def _run(agent: CustomAgent, context: Context, given: Any) -> Any:
    async def function() -> Any:
        context.begin()
        try:
            return await agent.function(context, given)
        except (Exception, Halted, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # would end the worker
            said = "called sys.exit" if isinstance(error, SystemExit) else f"raised {type(error).__name__}: {error}"
            raise RuntimeError(f"the agent {said}") from error

    task = asyncio.create_task(function())
    task.add_done_callback(lambda task: task.cancelled() or task.exception())  # of a halted one nobody asks for it
    try:
        await _until_over(task, context)
    finally:
        ended_by = context.halted_by
        context.halt(LeaseLost(context.job_id))  # from here on the function, and what it leaves behind, does nothing
        await _stopped(task)
    if ended_by is not None:
        raise ended_by
    if task.cancelled():
        raise RuntimeError("the agent has cancelled itself")
    result = task.result()
    if left := context.not_asked_for():
        logger.warning("agent_did_not_ask", for_what=left)
    return result


async def _until_over(task: "asyncio.Task[Any]", context: Context) -> None:
    """Returns when the function has, or when the attempt is over; then no step or model call is in the middle of
    something."""
    halted = asyncio.create_task(context.halted.wait())
    try:
        await asyncio.wait({task, halted}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        halted.cancel()
    if not isinstance(context.halted_by, LeaseLost):
        await context.quiet()


async def _stopped(task: "asyncio.Task[Any]") -> None:
    """Stops the function, whatever it does about that."""
    if task.done():
        return
    task.cancel()
    await asyncio.wait({task}, timeout=_GRACE_SECONDS)
    if not task.done():
        logger.warning("agent_does_not_stop", seconds=_GRACE_SECONDS, effect="it runs on, unheard")


def _output(agent: CustomAgent, result: Any) -> str | None:
    """A text as it is, None as no output, anything else as JSON."""
    if result is None or isinstance(result, str):
        return result
    if isinstance(result, BaseModel):
        return result.model_dump_json()
    try:
        return json.dumps(result, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"agent {agent.name} must return a text, None or JSON: {error}") from error
