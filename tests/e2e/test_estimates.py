"""What a caller is told of the wait, beside the wait: within a factor of two."""

from statistics import median

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared.clock import from_rfc3339
from shared.redis_client import Redis
from tests.prompts import scripted
from tests.stack import stack

DEPTH = 40


async def test_position_start_and_retry_after_are_within_a_factor_of_two(
    redis: Redis, redis_server: RedisServer, provider: ProviderProcess
) -> None:
    settings = {"SLUICE_WORKER__MAX_IN_FLIGHT": "4", "SLUICE_QUEUE__MAX_DEPTH": str(DEPTH)}
    with stack(redis_server.url, provider.url, workers=1, **settings) as running:
        for job_id in [running.submit("assistant", scripted(latency=0.5)) for _ in range(12)]:
            running.finished(job_id)

        told = []
        while True:
            answer = running.http.post("/v1/jobs", json={"agent": "assistant", "input": scripted(latency=0.5)})
            if answer.status_code == 429:
                break
            told.append(answer.json())
        retry_after, refused = int(answer.headers["retry-after"]), from_rfc3339(told[-1]["created_at"])

        ratios = []
        for job in told[12:]:  # those that had to wait for long enough to be measured
            started = from_rfc3339(running.finished(job["id"], seconds=60)["started_at"])
            estimated = from_rfc3339(job["queue"]["estimated_start_at"])
            waited, foretold = started - from_rfc3339(job["created_at"]), estimated - from_rfc3339(job["created_at"])
            ratios.append(foretold / waited)
        last_start = max(from_rfc3339(running.job(job["id"])["started_at"]) for job in told)
        ratios.append(1000 * retry_after / (last_start - refused))

        print(f"foretold / happened: {min(ratios):.2f} to {max(ratios):.2f}, median {median(ratios):.2f}")
        assert all(0.5 <= ratio <= 2 for ratio in ratios), ratios
        assert told[-1]["queue"]["position"] == told[-1]["queue"]["depth"] == DEPTH
