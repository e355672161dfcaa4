"""Running an agent in a test, to the end of its job or until somebody has to say something."""

import asyncio

from local.testing.attempts import Attempts
from local.testing.persons import Decisions, Persons
from local.testing.replies import Messages, Replies
from local.testing.result import Result, ended, waiting
from shared.errors import LeaseLost
from shared.keys import DEFAULT_TENANT
from worker.agent_loop import Ask
from worker.agents import Agent
from worker.agents.custom import CustomAgent
from worker.release import Release


def run_agent(
    agent: Agent,
    input: str | Messages,
    *,
    replies: Replies,
    decisions: Decisions | None = None,
    crash_after: int | None = None,
    tenant: str = DEFAULT_TENANT,
) -> Result:
    """Runs a job of the agent to its end, or until a person has to say something that `decisions` does not.

    `replies` are the model's answers, `decisions` those of persons by tool or step: `{"pay": "approve"}`. With
    `crash_after` the worker dies when so many records are in the job's journal, and with it what it did since; another
    one goes on.
    Raises ScriptError when the script ends too early, does not fit the agent, or there is no such crash.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(
            arun_agent(agent, input, replies=replies, decisions=decisions, crash_after=crash_after, tenant=tenant)
        )
    raise RuntimeError("an event loop is running here: await arun_agent(…) instead")


async def arun_agent(
    agent: Agent,
    input: str | Messages,
    *,
    replies: Replies,
    decisions: Decisions | None = None,
    crash_after: int | None = None,
    tenant: str = DEFAULT_TENANT,
) -> Result:
    """`run_agent` for tests that are async themselves."""
    job = Attempts(agent, input, replies, crash_after, tenant)
    persons = Persons(decisions or {}, None if isinstance(agent, CustomAgent) else agent.tools_by_name)
    while True:
        try:
            transcript, verdict = await job.next()
        except LeaseLost:
            continue
        if isinstance(verdict, Release):
            job.failures += 1
        elif job.journal.dies_now():
            continue
        elif not isinstance(verdict, Ask):
            job.check_crash()
            return ended(transcript, verdict, job.requests)
        elif said := persons.decide(verdict.questions):
            job.hear(said)
        else:
            job.check_crash()
            return waiting(transcript, job.asked(verdict), job.requests)
