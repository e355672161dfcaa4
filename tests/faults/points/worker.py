"""The worker's test build: it kills itself, with SIGKILL, at the point that a job names, the first time it gets there.

`python -m tests.faults.points.worker` with FAULT_POINTS naming the Redis where each job's points are written down as it
passes them, and that it has died. The point is in the job's metadata, `die_at`. After each death it is born anew, as a
fork of a process that has only imported things, which takes a tenth of a second instead of one or two.
"""

import functools
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, NoReturn

import redis

from shared.actions import Actions
from shared.checkpoints import Checkpoints
from shared.queue import Queue
from shared.turn import IntentRecord, ModelRecord, Record, ResultRecord
from worker import attempt, main
from worker.chain_caller import ChainCaller
from worker.executor import Executor
from worker.tools import Tool

DIE_AT = "die_at"
"""The name in a job's metadata under which it says where its worker dies."""


def passed(job_id: str) -> str:
    """list, the points that a job has passed, of all its attempts"""
    return f"points:{job_id}:passed"


def died(job_id: str) -> str:
    """string, there when a worker has died for this job"""
    return f"points:{job_id}:died"


class Reaper:
    """Knows where which job's worker dies."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url)
        self._die_at: dict[str, str] = {}
        self._tools: dict[tuple[str, str], str] = {}

    def knows(self, job: Any) -> None:
        self._die_at[job.id] = job.spec.metadata.get(DIE_AT, "")

    def reached(self, job_id: str, point: str) -> None:
        self._redis.rpush(passed(job_id), point)
        if self._die_at.get(job_id) == point and self._redis.set(died(job_id), point, nx=True):
            os.kill(os.getpid(), signal.SIGKILL)


def build(reaper: Reaper) -> None:
    """Puts a point before and after each effect of the loop."""

    def around(owner: Any, name: str, label: Callable[..., tuple[str, str]]) -> None:
        real: Callable[..., Awaitable[Any]] = getattr(owner, name)

        @functools.wraps(real)
        async def watched(*args: Any, **options: Any) -> Any:
            job_id, what = label(*args, **options)
            reaper.reached(job_id, f"before {what}")
            answer = await real(*args, **options)
            reaper.reached(job_id, f"after {what}")
            return answer

        setattr(owner, name, watched)

    effects: dict[str, str] = {}  # of tool calls, by their names

    def saving(_: Any, owner: str, job_id: str, index: int, record: Record, *rest: Any, **more: Any) -> tuple[str, str]:
        if isinstance(record, IntentRecord | ResultRecord):
            return job_id, f"saving the {record.kind} of the {effects.get(record.tool_use_id, 'irreversible')} call"
        return job_id, f"saving turn {record.turn}" if isinstance(record, ModelRecord) else f"saving the {record.kind}"

    def running(tool: Tool, call: Any, context: Any) -> tuple[str, str]:
        effects[call.id] = tool.effect
        return context.job_id, f"the {tool.effect} call"

    start = Executor.start

    def started(self: Executor, job: Any, now_ms: int) -> Any:
        reaper.knows(job)
        return start(self, job, now_ms)

    Executor.start = started  # type: ignore[method-assign]
    around(Checkpoints, "append", saving)
    around(
        ChainCaller, "call", lambda _, chain, wanted, *rest, **more: (wanted.job_id, f"the model's turn {wanted.turn}")
    )
    around(attempt, "run_tool", running)
    around(Queue, "finish", lambda _, owner, job_id, *rest, **more: (job_id, "writing the end"))
    around(Actions, "ask", lambda _, owner, job, *rest, **more: (job.id, "writing the question"))


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
