"""What a tenant's jobs may still spend today: money is set aside before a model call and settled by its checkpoint."""

from dataclasses import dataclass

from shared.errors import LeaseLost
from shared.redis_client import Redis
from shared.scripts import script


@dataclass(frozen=True, slots=True)
class Shortage:
    """There is not enough. `in_flight`: others' calls have some of it set aside and may need less; else there will be
    some again in `seconds`, on the next day (UTC)."""

    in_flight: bool
    seconds: float


class DayBudget:
    """Raises StoreUnavailable when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def reserve(self, owner: str, job_id: str, *, least: int, wanted: int, per_day: int) -> int | Shortage:
        """How much is set aside now for all calls in flight of the job, at most `wanted`, in nano-dollars; with less
        than `least` nothing changes. It replaces what was set aside before. Raises LeaseLost; safe to repeat.

        The job's checkpoints say what stays set aside, and nothing does once it has left its worker.
        """
        answer, number = await script("job_reserve")(
            self._redis,
            {},
            {"id": job_id, "owner": owner, "least": least, "wanted": wanted, "per_day": per_day},
        )
        match answer:
            case "reserved":
                return int(number)
            case "lost":
                raise LeaseLost(job_id)
        return Shortage(answer == "taken", number / 1000)
