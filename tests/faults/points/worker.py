"""The worker's test build: it kills itself, with SIGKILL, at the point that a job names, the first time it gets there.

`python -m tests.faults.points.worker` with FAULT_POINTS naming the Redis where each job's points are written down as it
passes them, and that it has died. The point is in the job's metadata, `die_at`. After each death it is born anew, as a
fork of a process that has only imported things, which takes a tenth of a second instead of one or two.
"""

import asyncio
import functools
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, NoReturn

import redis
from structlog.contextvars import get_contextvars

from shared.actions import Actions
from shared.checkpoints import Checkpoints
from shared.day_budget import DayBudget
from shared.event_log import EventLog
from shared.gate import Gate
from shared.mailbox import Mailbox
from shared.queue import Queue
from shared.turn import IntentRecord, ModelRecord, Record, ResultRecord
from tests.faults.points.cases import TELLING
from worker import attempt, main
from worker.attempt import Interruption
from worker.chain_caller import ChainCaller
from worker.executor import Executor
from worker.model_call import ModelCaller
from worker.provider_anthropic import AnthropicProvider
from worker.tools import Tool

DIE_AT = "die_at"
"""The name in a job's metadata under which it says where its worker dies."""
_LEAVE_AT = "after saving turn 2"
"""Where each job is given back, once, as by a worker that has to leave in a deploy."""


def passed(job_id: str) -> str:
    """list, the points that a job has passed, of all its attempts"""
    return f"points:{job_id}:passed"


def died(job_id: str) -> str:
    """string, there when a worker has died for this job"""
    return f"points:{job_id}:died"


def left(job_id: str) -> str:
    """string, there when a worker had to leave the job"""
    return f"points:{job_id}:left"


class Reaper:
    """Knows where which job's worker dies, or leaves it."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url)
        self._die_at: dict[str, str] = {}

    def knows(self, job: Any) -> None:
        self._die_at[job.id] = job.spec.metadata.get(DIE_AT, "")

    def reached(self, job_id: str, point: str) -> None:
        self._redis.rpush(passed(job_id), point)
        if self._die_at.get(job_id) == point and self._redis.set(died(job_id), point, nx=True):
            os.kill(os.getpid(), signal.SIGKILL)

    def leaves(self, job_id: str, point: str) -> bool:
        return point == _LEAVE_AT and bool(self._redis.set(left(job_id), point, nx=True))


def build(reaper: Reaper) -> None:
    """Puts a point before and after each effect of the loop, and whatever else a job has its worker write."""
    executors: dict[str, Executor] = {}  # by job

    async def reached(job_id: str, point: str) -> None:
        reaper.reached(job_id, point)
        if reaper.leaves(job_id, point):
            executors[job_id].interrupt(job_id, Interruption.DRAIN)
            await asyncio.sleep(0)  # it stops here, with nothing else begun

    def around(
        owner: Any, name: str, label: Callable[..., tuple[str, str]], ahead: str = "before", behind: str = "after"
    ) -> None:
        real: Callable[..., Awaitable[Any]] = getattr(owner, name)

        @functools.wraps(real)
        async def watched(*args: Any, **options: Any) -> Any:
            job_id, what = label(*args, **options)
            if ahead:
                await reached(job_id, f"{ahead} {what}")
            answer = await real(*args, **options)
            await reached(job_id, f"{behind} {what}")
            return answer

        setattr(owner, name, watched)

    turns: dict[str, int] = {}  # that jobs are at

    def asking(_: Any, chain: Any, wanted: Any, *rest: Any, **more: Any) -> tuple[str, str]:
        turns[wanted.job_id] = wanted.turn
        return wanted.job_id, f"the model's turn {wanted.turn}"

    def of_turn(what: str) -> Callable[..., tuple[str, str]]:
        """For what is not told the job: all logs of its attempt are."""

        def label(*args: Any, **options: Any) -> tuple[str, str]:
            job_id = get_contextvars()["job"]
            return job_id, f"{what} in turn {turns[job_id]}"

        return label

    effects: dict[str, str] = {}  # of tool calls, by their names

    def saving(_: Any, owner: str, job_id: str, index: int, record: Record, *rest: Any, **more: Any) -> tuple[str, str]:
        if isinstance(record, IntentRecord | ResultRecord):
            return job_id, f"saving the {record.kind} of the {effects.get(record.tool_use_id, 'irreversible')} call"
        return job_id, f"saving turn {record.turn}" if isinstance(record, ModelRecord) else f"saving the {record.kind}"

    def running(tool: Tool, call: Any, context: Any) -> tuple[str, str]:
        effects[call.id] = tool.effect
        return context.job_id, f"the {tool.effect} call"

    def held(what: str) -> Callable[..., tuple[str, str]]:
        return lambda _, owner, job_id, *rest, **more: (job_id, what)

    claim, start = Queue.claim, Executor.start

    async def claimed(*args: Any, **options: Any) -> Any:
        """Before it there is no worker that the job could lose."""
        answer = await claim(*args, **options)
        for job in answer.jobs:
            reaper.knows(job)
            reaper.reached(job.id, "after the claim")
        return answer

    def started(self: Executor, job: Any, now_ms: int) -> Any:
        executors[job.id] = self
        return start(self, job, now_ms)

    Queue.claim = claimed  # type: ignore[method-assign]
    Executor.start = started  # type: ignore[method-assign]
    around(Mailbox, "hear", held("hearing a message"))
    around(ChainCaller, "call", asking)
    around(DayBudget, "reserve", of_turn("setting money aside"))
    around(Gate, "reserve", of_turn("entering the gate"))
    around(AnthropicProvider, "stream", of_turn("leaving the gate"), ahead="", behind="before")  # which comes next
    around(ModelCaller, "_attempt", of_turn("leaving the gate"), ahead="")
    around(Checkpoints, "append", saving)
    around(attempt, "run_tool", running)
    around(EventLog, "tell", held(TELLING))
    around(Actions, "ask", lambda _, owner, job, *rest, **more: (job.id, "writing the question"))
    around(Queue, "release", held("giving it back"))
    around(Queue, "finish", held("writing the end"))


class Nursery:
    """The process that is forked: it does nothing but that."""

    def __init__(self) -> None:
        self._child = 0
        self._stopping = False
        self._alive, self._lifeline = os.pipe()

    def run(self) -> int:
        signal.signal(signal.SIGTERM, self._stop)
        while True:
            self._child = os.fork()
            if not self._child:
                self._live()
            _, status = os.waitpid(self._child, 0)
            if self._stopping or not os.WIFSIGNALED(status):
                return os.waitstatus_to_exitcode(status)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        os.kill(self._child, signal.SIGTERM)

    def _live(self) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(self._lifeline)
        threading.Thread(target=self._die_with_parent, daemon=True).start()
        build(Reaper(os.environ["FAULT_POINTS"]))
        sys.exit(main.main([]))

    def _die_with_parent(self) -> None:
        os.read(self._alive, 1)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(Nursery().run())
