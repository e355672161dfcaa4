"""The events of jobs: read by who follows one, told by the worker that holds it."""

from collections.abc import Iterable
from dataclasses import dataclass

from shared.events import JobEvent
from shared.redis_client import Redis
from shared.scripts import script
from shared.states import FINISHED, Status

MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some of a job's events, and how the job stood then. `last` is the number of its last event."""

    events: list[JobEvent]
    after: int
    last: int
    status: Status
    held: bool

    @property
    def cursor(self) -> int:
        """The number of the last event of this page, or where it began."""
        return self.events[-1].id if self.events else self.after

    @property
    def has_more(self) -> bool:
        return self.cursor < self.last

    @property
    def complete(self) -> bool:
        """Nothing comes after this page, ever."""
        return self.status in FINISHED and not self.has_more


class EventLog:
    """All methods raise StoreUnavailable when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def read(self, job_id: str, *, tenant: str, after: int = 0, most: int = MOST_AT_ONCE) -> EventPage | None:
        """The events after number `after`; None for a job there is not, another tenant's included.

        When those have been dropped, an event says so in their place. A number that is not reached yet counts as the
        last one: Redis may have lost the last moment when it died.
        """
        answer = await script("job_events")(
            self._redis, {}, {"id": job_id, "tenant": tenant, "after": max(after, 1), "most": most}
        )
        if not answer:
            return None
        status, created_ms, last, held, entries = answer
        after = min(after, last)
        events = [JobEvent.of_submit(int(created_ms))] if after < 1 else []
        kept = [JobEvent.from_entry(*entry) for entry in entries]
        if kept and kept[0].id > max(after, 1) + 1:
            events.append(JobEvent.of_gap(max(after, 1), kept[0].id, kept[0].at_ms))
        return EventPage([*events, *kept][:most], after, last, Status(status), bool(held))

    async def tell(self, owner: str, job_id: str, told: str, followers: Iterable[str]) -> bool:
        """Keeps what a worker tells (JSON, see `job_telling.lua`) and calls the followers; False when the job is not
        its own any more. Safe to repeat."""
        return bool(
            await script("job_tell")(
                self._redis, {}, {"id": job_id, "owner": owner, "told": told, "followers": " ".join(followers)}
            )
        )

    async def follow(self, follower: str, job_ids: Iterable[str]) -> None:
        """Lets the workers of these jobs know that they are followed at this api process, for the next while."""
        await script("job_follow")(self._redis, {}, {"follower": follower, "ids": " ".join(job_ids)})
