"""Taking in what a stock arq client has enqueued: `await arq.enqueue_job("run_agent", agent="…", input="…")`.

The client has to write JSON (`job_serializer=lambda d: json.dumps(d).encode()`): arq's own default is a pickle, which
runs code for anyone who can write to Redis, and nobody here reads one. An entry that is not for us is left alone.
"""

import json
from collections.abc import Mapping

from shared import ids, keys, log
from shared.catalogue import AgentEntry, Catalogue
from shared.errors import StoreUnavailable
from shared.job import Budget, JobSpec, Priority
from shared.queue import Queue

logger = log.get(__name__)

_TAKES = {"agent", "input", "priority", "session_id", "metadata"}


class NotForUs(Exception):
    """An entry that this service cannot run; the message says why."""


class Adoption:
    """Says once of each entry that it leaves alone why it does."""

    def __init__(self, queue: Queue, catalogue: Catalogue) -> None:
        self._queue = queue
        self._catalogue = catalogue
        self._left: set[str] = set()

    async def take_in(self, strangers: Mapping[str, str]) -> None:
        """`strangers` are arq's JSON blobs by job id. Raises StoreUnavailable; safe to repeat."""
        agents = await self._catalogue.read()
        for job_id, blob in strangers.items():
            try:
                await self._queue.adopt(job_id, _spec(blob, agents))
            except StoreUnavailable:
                raise
            except Exception as why:  # whatever one entry holds, the others are to be looked at
                if job_id not in self._left:
                    reason = str(why) if isinstance(why, NotForUs) else type(why).__name__
                    logger.warning("stock_job_left_alone", job=job_id, reason=reason)
                self._left = {job_id} if len(self._left) > 1000 else self._left | {job_id}


def _spec(blob: str, agents: Mapping[str, AgentEntry]) -> JobSpec:
    """What was asked for. An agent that nobody runs is found out when the job is run, and ends it."""
    if not blob:
        raise NotForUs("it is not JSON; give the client a job_serializer that writes JSON, not arq's default pickle")
    asked = json.loads(blob)
    if not isinstance(asked, dict) or asked.get("f") != keys.JOB_FUNCTION:
        raise NotForUs(f"it is no JSON job of arq's for the function {keys.JOB_FUNCTION!r}")
    given = asked.get("k")
    if asked.get("a") or not isinstance(given, dict) or not {"agent", "input"} <= given.keys() <= _TAKES:
        raise NotForUs(f"{keys.JOB_FUNCTION} takes agent= and input=, and at most {', '.join(sorted(_TAKES))}")
    if not isinstance(given["agent"], str) or not isinstance(given["input"], str) or not given["input"].strip():
        raise NotForUs("agent and input must be texts that are not empty")
    session_id = given.get("session_id")
    if session_id is not None and not (isinstance(session_id, str) and ids.may_name_a_session(session_id)):
        raise NotForUs("session_id must be 1 to 128 letters, digits and _ . : -, and begin with a letter or digit")
    try:
        priority = Priority(given.get("priority", Priority.STANDARD))
    except ValueError as error:
        raise NotForUs(str(error)) from error
    entry = agents.get(given["agent"])
    return JobSpec(
        tenant=keys.DEFAULT_TENANT,
        agent=given["agent"],
        input=given["input"],
        chain=entry.chain if entry else "default",
        budget=Budget.of(entry.budget) if entry else Budget(),
        priority=priority,
        session_id=session_id,
        metadata=given.get("metadata") or {},
    )
