"""How much a courier sends to whom at once, so that a receiver that is slow or down is in no other's way."""

from collections import Counter

from shared.outbox import Room

SLOTS = 256
PER_HOST = 4
_AT_ONCE = 16
"""How many are taken from the outbox in one go: each can come with 20 KB of output."""
_SLOW_SECONDS = 2.0
_MOST_REMEMBERED = 300


class Hosts:
    """A host is well when it did well and quickly last time: then it gets up to PER_HOST of the slots. All others, and
    those of which nothing is known, get one each, and together half of the slots: so that however many hang, there is
    room for those that are well, and quickly for one that is new."""

    def __init__(self, slots: int = SLOTS, per_host: int = PER_HOST) -> None:
        self._slots = slots
        self._per_host = per_host
        self._flying: Counter[str] = Counter()
        self._well: dict[str, None] = {}

    @property
    def free(self) -> int:
        return self._slots - self._flying.total()

    def room(self) -> Room:
        """What may be taken now."""
        others = sum(count for host, count in self._flying.items() if host not in self._well)
        return Room(
            most=min(self.free, _AT_ONCE),
            per_well=self._per_host,
            per_other=1,
            others=max(0, self._slots // 2 - others),
            well=frozenset(self._well),
            room={host: max(0, self._allowed(host) - count) for host, count in self._flying.items()},
        )

    def began(self, host: str) -> None:
        self._flying[host] += 1

    def ended(self, host: str, *, well: bool | None, seconds: float) -> None:
        """`well` is None when it was not asked at all."""
        self._flying[host] -= 1
        if not self._flying[host]:
            del self._flying[host]
        if well is None:
            return
        self._well.pop(host, None)
        if well and seconds <= _SLOW_SECONDS:
            self._well[host] = None
            if len(self._well) > _MOST_REMEMBERED:
                del self._well[next(iter(self._well))]

    def _allowed(self, host: str) -> int:
        return self._per_host if host in self._well else 1
