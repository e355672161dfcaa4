"""One attempt at a job, from claim to conclusion, read like a table of contents."""

import asyncio
import math
from collections.abc import Mapping
from contextlib import aclosing

from structlog.contextvars import bound_contextvars

from shared import log, metrics, tracing
from shared.catalogue import Catalogue
from shared.checkpoints import Checkpoints
from shared.day_budget import DayBudget
from shared.errors import LeaseLost, NoRoomYet, RequestTooLarge, Unheard
from shared.event_log import EventLog
from shared.gate_inspector import GateInspector
from shared.job import IncompleteReason, Job, WaitReason
from shared.mailbox import Mailbox
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis, until_reachable
from shared.scratchpad import Scratchpad
from shared.sessions import Sessions
from shared.states import Event, Status
from shared.turn import Transcript
from worker.agent_loop import Ask, run_agent, stopped_short
from worker.agents.agent import Agent
from worker.agents.custom import CustomAgent
from worker.asking import Desk
from worker.attempt import Attempt, Drained, Interruption
from worker.budget import Limit, OutOfBudget
from worker.chain import Chain
from worker.chain_caller import ChainCaller
from worker.custom_loop import run_custom
from worker.mcp.errors import ServerAway
from worker.mcp.toolbox import Toolbox
from worker.provider import ProviderError, ProviderRefused
from worker.purse import Purse
from worker.release import Release, without_answer, without_money, without_room, without_tools
from worker.running import Running
from worker.verdict import Verdict, after_failure, failed, refused, worker_crashed

logger = log.get(__name__)

_OTHER_WORKER_SECONDS = 15.0
_TIME_UP = Limit(IncompleteReason.DEADLINE_EXCEEDED, "Its time was up in mid-turn.")


class Executor:
    """Runs claimed jobs. `running` holds every job whose lease this worker has to keep."""

    def __init__(
        self,
        *,
        redis: Redis,
        owner: str,
        queue: Queue,
        checkpoints: Checkpoints,
        caller: ChainCaller,
        weights: Mapping[str, float],
        daily_nano: Mapping[str, int],
        agents: Mapping[str, Agent],
        chains: Mapping[str, Chain],
        catalogue: Catalogue,
        desk: Desk,
        toolbox: Toolbox,
        max_crashes: int,
    ) -> None:
        self._redis = redis
        self._owner = owner
        self._queue = queue
        self._checkpoints = checkpoints
        self._caller = caller
        self._weights = weights
        self._daily_nano = daily_nano
        self._agents = agents
        self._chains = chains
        self._catalogue = catalogue
        self._desk = desk
        self._toolbox = toolbox
        self._max_crashes = max_crashes
        self.draining = asyncio.Event()
        self.running: dict[str, Running] = {}

    def start(self, job: Job, now_ms: int) -> "asyncio.Task[None]":
        """Begins an attempt at a job just claimed."""
        running = Running(job)
        self.running[job.id] = running
        task = asyncio.create_task(self._run(running, now_ms))
        task.add_done_callback(lambda _: self._ended(running))
        return task

    def _ended(self, running: Running) -> None:
        """The same job may be running here anew by now."""
        if self.running.get(running.job.id) is running:
            del self.running[running.job.id]

    def interrupt(self, job_id: str, why: Interruption) -> None:
        if running := self.running.get(job_id):
            running.interrupt(why)

    def interrupt_all(self, why: Interruption) -> None:
        for running in list(self.running.values()):
            running.interrupt(why)

    async def _run(self, running: Running, now_ms: int) -> None:
        job = running.job
        with (
            bound_contextvars(job=job.id, agent=job.spec.agent, tenant=job.spec.tenant),
            tracing.adopted(job.spec.traceparent),
            metrics.IN_FLIGHT.track_inprogress(),
        ):
            try:
                await self._write(job, await self._judge(running, now_ms))
            except LeaseLost:
                metrics.LEASES_LOST.inc()
                logger.warning("lease_lost", effect="another worker goes on with the job")
            except Exception:
                logger.exception("attempt_broke", effect="the job is given back within two minutes")

    async def _judge(self, running: Running, now_ms: int) -> Verdict:
        """What is to become of the job. Raises LeaseLost when that is not ours to say."""
        try:
            running.begin()
            return await self._go_on(running, now_ms)
        except asyncio.CancelledError:
            return _interrupted(running)
        finally:
            running.conclude()

    async def _go_on(self, running: Running, now_ms: int) -> Verdict:
        job = running.job
        if job.status == Status.CANCELLING:
            return Conclusion(Event.CONFIRM_CANCEL)
        if job.crashes >= self._max_crashes:
            return worker_crashed(job)
        agent = self._agents.get(job.spec.agent)
        if agent is None:
            return await self._without_agent(job)
        async with aclosing(self._attempt(running, agent, now_ms)) as attempt:
            try:
                transcript = await attempt.load()
            except (KeyError, TypeError, ValueError):
                logger.exception("journal_unreadable", effect="left for a worker of the version that wrote it")
                return Release(WaitReason.CAPACITY, _OTHER_WORKER_SECONDS)
            return await try_once(agent, transcript, attempt, GateInspector(self._redis))

    async def _without_agent(self, job: Job) -> Verdict:
        """In a fleet of two kinds another worker may run this agent, or in a deploy soon; else it cannot be run."""
        if job.spec.agent in await until_reachable(self._catalogue.read):
            logger.warning("agent_not_here", effect="left for a worker that has it")
            return Release(WaitReason.CAPACITY, _OTHER_WORKER_SECONDS)
        return failed("agent", "unknown_agent", f"no worker runs the agent {job.spec.agent!r}", retryable=True)

    def _attempt(self, running: Running, agent: Agent, now_ms: int) -> Attempt:
        job, deadline_ms = running.job, running.job.spec.schedule.deadline_ms
        notes = Scratchpad(
            self._redis,
            tenant=job.spec.tenant,
            session_id=job.spec.session_id,
            job_id=job.id,
        )
        return Attempt(
            job=job,
            agent=agent,
            chain=self._chains[agent.chain],
            toolbox=self._toolbox,
            owner=self._owner,
            checkpoints=self._checkpoints,
            sessions=Sessions(self._redis),
            mailbox=Mailbox(self._redis),
            caller=self._caller,
            purse=Purse(job, self._owner, DayBudget(self._redis), self._daily_nano.get(job.spec.tenant, 0)),
            events=EventLog(self._redis),
            audience=running.audience,
            weight=self._weights.get(job.spec.tenant, 1),
            notes=notes,
            draining=self.draining,
            interrupted=lambda: running.interruption is not None,
            seconds_before=max(0, now_ms - (job.started_ms or now_ms) - job.waited_ms) / 1000,
            seconds_to_deadline=None if deadline_ms is None else max(0, deadline_ms - now_ms) / 1000,
            first=job.started_ms == now_ms,
        )

    async def _write(self, job: Job, verdict: Verdict) -> None:
        """Makes the verdict true, however long Redis takes; LeaseLost if somebody else was quicker."""
        if isinstance(verdict, Ask):
            tools = self._toolbox.shown(self._agents[job.spec.agent]).tools_by_name
            status = await until_reachable(lambda: self._desk.ask(self._owner, job, tools, verdict))
            logger.info("job_asks", questions=len(verdict.questions), status=status)
        elif isinstance(verdict, Release):
            status = await until_reachable(lambda: self._release(job, verdict))
            metrics.RELEASED.labels(job.spec.agent, verdict.reason).inc()
            logger.info("job_released", reason=verdict.reason, seconds=round(verdict.delay_seconds, 1), status=status)
        else:
            try:
                status = await until_reachable(lambda: self._finish(job, verdict))
            except Unheard:  # somebody spoke to it in its last moment: its next attempt hears that
                return await self._write(job, Release(WaitReason.CAPACITY))
            metrics.FINISHED.labels(job.spec.agent, status).inc()
            logger.info("job_finished", status=status, error=verdict.error.code if verdict.error else None)

    async def _finish(self, job: Job, conclusion: Conclusion) -> Status:
        name = job.spec.agent
        hears = not isinstance(self._agents.get(name), CustomAgent)
        teaches = "" if job.spec.forked_from else name  # a part of a job says little of what a whole one costs
        return await self._queue.finish(self._owner, job.id, conclusion, agent=teaches, hears=hears)

    async def _release(self, job: Job, release: Release) -> Status:
        return await self._queue.release(
            self._owner,
            job.id,
            release.reason,
            delay_ms=math.ceil(release.delay_seconds * 1000),
            claim=job.claims,
            pool=release.pool,
            behind_ms=math.ceil(release.behind_seconds * 1000),
        )


async def try_once(agent: Agent, transcript: Transcript, attempt: Attempt, gate: GateInspector) -> Verdict:
    """Runs the agent until it has its answer or something stops it."""
    deadline = asyncio.timeout(attempt.seconds_left())
    try:
        async with deadline:
            if attempt.seconds_left() == 0 and (isinstance(agent, CustomAgent) or transcript.unanswered()):
                return stopped_short(transcript, _TIME_UP)  # before anything is begun
            if isinstance(agent, CustomAgent):
                return await run_custom(agent, transcript, attempt)
            return await run_agent(await attempt.equipped(), transcript, attempt)
    except Drained:
        return Release(WaitReason.CAPACITY)
    except RequestTooLarge as error:
        return failed("invalid_request", "request_too_large", str(error), retryable=False)
    except NoRoomYet as error:
        return without_room(error, attempt)
    except OutOfBudget as error:
        return without_money(error, attempt, transcript)
    except ServerAway as error:
        return without_tools(error, attempt, transcript)
    except ProviderRefused as error:
        return refused(error)
    except ProviderError as error:
        return await without_answer(error, attempt, gate)
    except LeaseLost:
        raise
    except Exception as error:
        if deadline.expired():
            return stopped_short(transcript, _TIME_UP)
        logger.exception("agent_failed")
        return after_failure(error, agent.retry, attempt)


def _interrupted(running: Running) -> Verdict:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    match running.interruption:
        case Interruption.CANCEL:
            return Conclusion(Event.CONFIRM_CANCEL)
        case Interruption.DRAIN:
            return Release(WaitReason.CAPACITY)
        case _:
            raise LeaseLost(running.job.id)
