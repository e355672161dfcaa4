"""A plan carried out on a fleet: each strike breaks one part and makes it whole again."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tests.faults.chaos.fleet import Fleet
from tests.faults.chaos.plan import FRONT, Kind, Strike

_AT_ONCE = 2
"""So many parts may be broken at the same time."""
_BETWEEN_SIGNALS = 0.3
"""Seconds: two signals at once would be one."""
_LOST_WITHIN = 15.0
"""Seconds in which a link that is to lose an answer must find one to lose."""


class Strikes:
    """Carries out a plan from threads of its own while `ended` counts up. `run` it, then `finish`."""

    def __init__(self, fleet: Fleet, plan: Sequence[Strike], on_strike: Callable[[Strike], None]) -> None:
        self._fleet = fleet
        self._left = list(plan)
        self._on_strike = on_strike
        self._pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="strike")
        self._running: list[Future[None]] = []
        self._counting = threading.Lock()
        self.done: Counter[str] = Counter()
        """How often each kind has happened."""

    def ended(self, jobs: int) -> None:
        """So many jobs have ended: what is due begins."""
        while self._left and self._left[0].after <= jobs:
            self._running.append(self._pool.submit(self._carry_out, self._left.pop(0)))

    def finish(self) -> None:
        """Returns when all that began is whole again. Raises what went wrong with a strike itself."""
        self._pool.shutdown(wait=True)
        for strike in self._running:
            strike.result()

    def _carry_out(self, strike: Strike) -> None:
        with self._fleet.locks[strike.place]:
            self._on_strike(strike)
            if _WAYS[strike.kind](self._fleet, strike) is not False:
                with self._counting:
                    self.done[strike.kind] += 1


def _kill(fleet: Fleet, strike: Strike) -> None:
    fleet.current[strike.place].kill()
    fleet.replace(strike.place)


def _freeze_worker(fleet: Fleet, strike: Strike) -> None:
    worker = fleet.current[strike.place]
    worker.freeze()
    time.sleep(strike.seconds)
    worker.thaw()


def _drain(fleet: Fleet, strike: Strike) -> None:
    worker = fleet.current[strike.place]
    worker.drain()
    fleet.replace(strike.place)
    worker.await_end()


def _hurry(fleet: Fleet, strike: Strike) -> None:
    worker = fleet.current[strike.place]
    worker.drain()
    time.sleep(_BETWEEN_SIGNALS)
    worker.hurry()
    fleet.replace(strike.place)
    worker.await_end()


def _restart_redis(fleet: Fleet, strike: Strike) -> None:
    fleet.redis.stop()
    time.sleep(strike.seconds)
    fleet.redis.start()


def _kill_redis(fleet: Fleet, strike: Strike) -> None:
    fleet.redis.kill()
    time.sleep(strike.seconds)
    fleet.redis.start()


def _freeze_redis(fleet: Fleet, strike: Strike) -> None:
    fleet.redis.pause()
    time.sleep(strike.seconds)
    fleet.redis.resume()


def _cut(fleet: Fleet, strike: Strike) -> None:
    fleet.links[strike.place].cut()


def _strand(fleet: Fleet, strike: Strike) -> None:
    fleet.links[strike.place].strand()


def _refuse(fleet: Fleet, strike: Strike) -> None:
    fleet.links[strike.place].refuse()
    time.sleep(strike.seconds)
    fleet.links[strike.place].accept()


def _silence(fleet: Fleet, strike: Strike) -> None:
    fleet.links[strike.place].silence()
    time.sleep(strike.seconds)
    fleet.links[strike.place].speak()


def _lose_answer(fleet: Fleet, strike: Strike) -> bool:
    """Of submits between a client and the api, of scripts between us and Redis; False when there was none to lose."""
    request = b"POST /v1/jobs " if strike.place == FRONT else b"EVALSHA"
    losses = [fleet.links[strike.place].lose_answer(request) for _ in range(strike.count)]
    deadline = time.monotonic() + _LOST_WITHIN
    return all(loss.wait(max(0, deadline - time.monotonic())) for loss in losses)


def _provider(fault: str) -> Callable[[Fleet, Strike], None]:
    return lambda fleet, strike: fleet.provider.set_fault(fault, count=strike.count)


_WAYS: dict[Kind, Callable[[Fleet, Strike], bool | None]] = {
    Kind.KILL_WORKER: _kill,
    Kind.FREEZE_WORKER: _freeze_worker,
    Kind.DRAIN_WORKER: _drain,
    Kind.HURRY_WORKER: _hurry,
    Kind.KILL_API: _kill,
    Kind.RESTART_REDIS: _restart_redis,
    Kind.KILL_REDIS: _kill_redis,
    Kind.FREEZE_REDIS: _freeze_redis,
    Kind.CUT_LINK: _cut,
    Kind.STRAND_LINK: _strand,
    Kind.REFUSE_LINK: _refuse,
    Kind.SILENCE_LINK: _silence,
    Kind.LOSE_ANSWER: _lose_answer,
    Kind.PROVIDER_429: _provider("429"),
    Kind.PROVIDER_529: _provider("529"),
    Kind.PROVIDER_BROKEN: _provider("drop_mid"),
}
