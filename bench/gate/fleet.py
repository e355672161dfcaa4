"""`python -m bench.gate.fleet PLAN`: imports everything once, then becomes the parent of all workers by fork.

Eight interpreters that start one by one would cost more than some runs last. The workers end by themselves; they are
killed when this process is told to end, and by the kernel when it dies.
"""

import contextlib
import ctypes
import gc
import os
import signal
import sys
from types import FrameType

from bench.gate.plan import Plan
from bench.gate.scenario import ALL_WORKERS
from bench.gate.worker import work
from shared import log

_PR_SET_PDEATHSIG = 1


def main(plan: Plan) -> int:
    """Returns when all workers have ended: 0, unless one of them broke."""
    log.configure()
    gc.freeze()
    workers = [_forked(plan, number) for number in ALL_WORKERS]

    def stop(number: int, frame: FrameType | None) -> None:
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    signal.signal(signal.SIGTERM, stop)
    codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in workers]
    return 1 if any(code > 0 for code in codes) else 0


def _forked(plan: Plan, number: int) -> int:
    """The pid of a new worker."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        work(plan, number)
        code = 0
    except BaseException as error:  # whatever it was, this process must not go on as a second parent
        print(f"worker {number} broke: {type(error).__name__}: {error}", flush=True)
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(Plan.parse(sys.argv[1])))
