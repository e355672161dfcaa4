"""A courier over a real outbox and real receivers: what it sends, what becomes of it, and who waits for whom."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from shared import ids, keys, metrics
from shared.deliveries import Deliveries, Logged
from shared.delivery import DeliveryState
from shared.endpoint import Endpoint
from shared.endpoints import Endpoints
from shared.outbox import Outbox, Parcel, Room
from shared.queue import Conclusion, Queue
from shared.receiver import UrlPolicy, receiver
from shared.states import Event
from shared.submission import Accepted
from shared.webhook import JOB_URLS, Webhook
from tests.shared.queueing import claim, spec
from tests.waiting import until
from tests.worker.webhooks.listening import Got, Listening, answer, hang, listening
from worker.webhooks.courier import Courier
from worker.webhooks.sender import Sender

OPEN = UrlPolicy(allow_http=True, allow_private_networks=True)
DAY_MS = 86_400_000


async def here(host: str, port: int) -> list[str]:
    """Every name stands for this machine."""
    return ["127.0.0.1"]


@asynccontextmanager
async def courier(
    redis: Any, *, seconds: float = 15, policy: UrlPolicy = OPEN, keep_answers: bool = False
) -> AsyncIterator[Courier]:
    """One that works meanwhile."""
    working = Courier(
        Outbox(redis, retention_ms=DAY_MS),
        Endpoints(redis),
        Sender(allow_private_networks=True, seconds=seconds, lookup=here),
        policy,
        keep_answers=keep_answers,
    )
    loops = [asyncio.create_task(loop) for loop in working.loops()]
    try:
        yield working
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await working.drain(0, asyncio.Event())


async def finished(redis: Any, to: Webhook | None = None, output: str = "Done.", **fields: Any) -> str:
    """A job that has succeeded, told of to there."""
    queue = Queue(redis, retention_ms=DAY_MS)
    answered = await queue.submit(ids.new_job_id(), spec(webhook=to, **fields))
    assert isinstance(answered, Accepted)
    await claim(queue, "worker")
    await queue.finish("worker", answered.job_id, Conclusion(Event.SUCCEED, output))
    return answered.job_id


def url_of(there: Listening, host: str = "127.0.0.1") -> Webhook:
    """That receiver, under a host of its own."""
    url = f"http://{host}:{there.port}/hook"
    return Webhook(JOB_URLS, receiver(url, OPEN).host, url)


async def endpoint_of(redis: Any, there: Listening) -> Endpoint:
    endpoint = await Endpoints(redis).add("default", url=there.url, description="")
    assert endpoint is not None
    return endpoint


def to(endpoint: Endpoint) -> Webhook:
    return Webhook(endpoint.id, "127.0.0.1")


def verified(secret: Any, got: Got) -> Any:
    """What the library that receivers use makes of it."""
    return Verifier(secret.get_secret_value()).verify(got.body, got.headers)


async def logged(redis: Any, job_id: str) -> Logged:
    page, _ = await Deliveries(redis).page("default", job_id=job_id, limit=10, after=None)
    (one,) = page
    return one


async def in_state(redis: Any, job_id: str, state: DeliveryState, tries: int = 1) -> Logged:
    async def there() -> bool:
        one = await logged(redis, job_id)
        return one.delivery.state == state and len(one.tries) >= tries

    await until(there)
    return await logged(redis, job_id)


async def make_due(redis: Any, host: str = "127.0.0.1") -> None:
    """What waits for its next attempt is due now, and somebody is called."""
    for one in await redis.zrange(keys.OUTBOX_HOST + host, 0, -1):
        await redis.zadd(keys.OUTBOX_HOST + host, {one: 1})
    await redis.zadd(keys.OUTBOX, {host: 1})
    await redis.rpush(keys.OUTBOX_WAKE, "1")


async def test_an_end_is_delivered_at_once_and_verifies(redis: Any) -> None:
    async with listening() as there, courier(redis):
        endpoint = await endpoint_of(redis, there)
        job_id = await finished(redis, to(endpoint), metadata={"order": "7"}, session_id="s")
        await until(lambda: len(there.got) == 1)
        one = await in_state(redis, job_id, DeliveryState.DELIVERED)

    (got,) = there.got
    record = await redis.hgetall(keys.job(job_id))
    body = verified(endpoint.secret, got)
    assert body == {
        "type": "job.succeeded",
        "timestamp": body["timestamp"],
        "data": {
            "id": job_id,
            "object": "job",
            "status": "succeeded",
            "agent": "assistant",
            "session_id": "s",
            "metadata": {"order": "7"},
            "usage": body["data"]["usage"],
            "revision": int(record["revision"]),
            "output": "Done.",
        },
    }
    assert body["data"]["usage"]["cost_usd"] == "0.000000"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"] == one.delivery.id
    assert [(made.status, made.error, made.answer) for made in one.tries] == [(204, None, None)]


async def test_a_url_of_the_jobs_own_is_signed_with_the_tenants_secret_for_these(redis: Any) -> None:
    async with listening() as there, courier(redis):
        await finished(redis, url_of(there))
        await until(lambda: len(there.got) == 1)
        secret = (await Endpoints(redis).for_job_urls("default")).secret
        verified(secret, there.got[0])
        rotation = await Endpoints(redis).rotate("default", JOB_URLS)
        assert rotation is not None
        await finished(redis, url_of(there))
        await until(lambda: len(there.got) == 2)

    for one in (secret, rotation.secret):
        verified(one, there.got[1])


async def test_after_a_rotation_both_secrets_verify(redis: Any) -> None:
    async with listening() as there, courier(redis):
        endpoint = await endpoint_of(redis, there)
        rotation = await Endpoints(redis).rotate("default", endpoint.id)
        assert rotation is not None
        await finished(redis, to(endpoint))
        await until(lambda: len(there.got) == 1)

    for secret in (endpoint.secret, rotation.secret):
        verified(secret, there.got[0])


async def test_an_output_that_is_too_long_is_left_out_and_one_that_is_not_there_is_null(redis: Any) -> None:
    async with listening() as there, courier(redis):
        await finished(redis, url_of(there), "x" * 20_481)
        await finished(redis, url_of(there), "")
        await until(lambda: len(there.got) == 2)

    bodies = sorted((got.json["data"] for got in there.got), key=lambda data: "output" in data)
    assert "output" not in bodies[0]
    assert bodies[1]["output"] is None


async def test_a_retry_has_the_same_id_and_body_and_a_signature_of_its_own_time(redis: Any) -> None:
    async with listening(answer(500)) as there, courier(redis):
        endpoint = await endpoint_of(redis, there)
        job_id = await finished(redis, to(endpoint))
        one = await in_state(redis, job_id, DeliveryState.PENDING)
        assert one.delivery.next_ms is not None
        assert 3_500 < one.delivery.next_ms - one.tries[0].at_ms < 9_000
        there.behave = answer(200)
        await make_due(redis)
        one = await in_state(redis, job_id, DeliveryState.DELIVERED, 2)

    first, second = there.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    for got in there.got:
        verified(endpoint.secret, got)
    assert [made.status for made in one.tries] == [500, 200]


async def test_after_ten_attempts_it_is_given_up_and_can_be_replayed(redis: Any) -> None:
    async with listening(answer(500)) as there, courier(redis):
        job_id = await finished(redis, url_of(there))
        for tries in range(1, 10):
            await in_state(redis, job_id, DeliveryState.PENDING, tries)
            await make_due(redis)
        one = await in_state(redis, job_id, DeliveryState.FAILED, 10)
        assert one.delivery.reason == "exhausted"
        assert len(there.got) == 10
        there.behave = answer(200)

        await Deliveries(redis).replay("default", one.delivery.id)

        await in_state(redis, job_id, DeliveryState.DELIVERED, 11)
    assert len({got.headers["webhook-id"] for got in there.got}) == 1


async def test_retry_after_is_honoured(redis: Any) -> None:
    async with listening(answer(503, b"", "Retry-After: 500")) as there, courier(redis):
        job_id = await finished(redis, url_of(there))
        one = await in_state(redis, job_id, DeliveryState.PENDING)

    assert one.delivery.next_ms is not None
    assert 499_000 < one.delivery.next_ms - one.tries[0].at_ms < 510_000


async def test_410_disables_the_endpoint_and_a_good_test_enables_it_again(redis: Any) -> None:
    endpoints, log = Endpoints(redis), Deliveries(redis)
    async with listening(answer(410)) as there, courier(redis):
        endpoint = await endpoint_of(redis, there)
        gone = await in_state(redis, await finished(redis, to(endpoint)), DeliveryState.FAILED)
        disabled = await endpoints.find("default", endpoint.id)
        assert gone.delivery.reason == "gone"
        assert disabled is not None
        assert disabled.disabled_ms is not None

        unsent = await in_state(redis, await finished(redis, to(endpoint)), DeliveryState.FAILED, 0)
        assert (unsent.delivery.reason, unsent.tries, len(there.got)) == ("endpoint_disabled", [], 1)

        there.behave = answer(200)
        test_id = await log.test("default", endpoint, "127.0.0.1")
        await until(lambda: len(there.got) == 2)

        async def enabled() -> bool:
            found = await endpoints.find("default", endpoint.id)
            return found is not None and found.disabled_ms is None

        await until(enabled)
        body = verified(endpoint.secret, there.got[1])
        assert (body["type"], body["data"]) == ("webhook.test", {"id": endpoint.id, "object": "webhook_endpoint"})
        assert there.got[1].headers["webhook-id"] == test_id
        await log.replay("default", unsent.delivery.id)
        await until(lambda: len(there.got) == 3)


async def test_410_from_a_url_of_the_jobs_own_ends_that_delivery_alone(redis: Any) -> None:
    async with listening(answer(410)) as there, courier(redis):
        one = await in_state(redis, await finished(redis, url_of(there)), DeliveryState.FAILED)
        assert one.delivery.reason == "gone"
        there.behave = answer(200)
        await in_state(redis, await finished(redis, url_of(there)), DeliveryState.DELIVERED)
    assert (await Endpoints(redis).for_job_urls("default")).disabled_ms is None


async def test_a_test_is_tried_once(redis: Any) -> None:
    async with listening(answer(500)) as there, courier(redis):
        endpoint = await endpoint_of(redis, there)
        test_id = await Deliveries(redis).test("default", endpoint, "127.0.0.1")
        assert test_id is not None

        async def failed() -> bool:
            one = await Deliveries(redis).find("default", test_id)
            return one is not None and one.delivery.state == DeliveryState.FAILED

        await until(failed)
    assert len(there.got) == 1


async def test_what_is_for_a_deleted_endpoint_goes_nowhere(redis: Any) -> None:
    async with listening() as there:
        endpoint = await endpoint_of(redis, there)
        job_id = await finished(redis, to(endpoint))
        await Endpoints(redis).remove("default", endpoint.id)
        async with courier(redis):
            one = await in_state(redis, job_id, DeliveryState.FAILED, 0)
    assert (one.delivery.reason, there.connections) == ("endpoint_deleted", 0)


async def test_a_url_that_is_not_allowed_any_more_is_not_called(redis: Any) -> None:
    async with listening() as there:
        job_id = await finished(redis, url_of(there))
        async with courier(redis, policy=UrlPolicy()):
            one = await in_state(redis, job_id, DeliveryState.FAILED, 0)
    assert (one.delivery.reason, there.connections) == ("url_not_allowed", 0)


@pytest.mark.parametrize("keep", [True, False])
async def test_what_a_receiver_answers_is_kept_only_when_that_is_wanted(redis: Any, keep: bool) -> None:
    async with listening(answer(200, b"a" * 5000)) as there, courier(redis, keep_answers=keep):
        one = await in_state(redis, await finished(redis, url_of(there)), DeliveryState.DELIVERED)
    assert one.tries[0].answer == ("a" * 4096 if keep else None)


async def test_receivers_that_hang_hold_up_no_other(redis: Any) -> None:
    """Forty hosts that hang, with many deliveries each, and one that is well."""
    async with listening(hang) as dead, listening() as well, courier(redis):
        for number in range(40):
            for _ in range(3):
                await finished(redis, url_of(dead, f"dead{number}.example"))
        await until(lambda: dead.connections >= 40)
        for _ in range(20):
            await finished(redis, url_of(well))

        await until(lambda: len(well.got) == 20, seconds=10)

        assert dead.connections == 40, "one each"
    await redis.flushall()


async def test_a_host_gets_one_at_once_and_four_when_it_has_done_well(redis: Any) -> None:
    async with listening(hang) as there, listening() as well, courier(redis, seconds=60):
        for _ in range(12):
            await finished(redis, url_of(there, "slow.example"))
        await finished(redis, url_of(well, "well.example"))
        await until(lambda: len(well.got) == 1 and len(there.got) == 1)
        well.behave = hang
        for _ in range(12):
            await finished(redis, url_of(well, "well.example"))
        await until(lambda: len(well.got) == 5)
        await finished(redis, url_of(there, "other.example"))
        await until(lambda: len(there.got) == 2)
        assert metrics.WEBHOOKS_IN_FLIGHT._value.get() == 6
    await redis.flushall()


async def test_a_drain_lets_attempts_end_and_gives_back_what_does_not(redis: Any) -> None:
    async with listening(hang) as there:
        async with courier(redis, seconds=60):
            job_id = await finished(redis, url_of(there))
            await until(lambda: len(there.got) == 1)
        one = await logged(redis, job_id)
        assert (one.delivery.state, one.tries) == ("pending", [])
        (parcel,) = (await Outbox(redis, retention_ms=DAY_MS).claim(Room(9, 9, 9, 9))).parcels
        assert isinstance(parcel, Parcel), "it is due for anybody else at once"


async def test_a_drain_waits_for_what_is_under_way(redis: Any) -> None:
    go = asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        await answer(200)(reader, writer)

    async with listening(slowly) as there, courier(redis) as working:
        job_id = await finished(redis, url_of(there))
        await until(lambda: len(there.got) == 1)
        draining = asyncio.create_task(working.drain(20, asyncio.Event()))
        go.set()
        await draining
        assert (await logged(redis, job_id)).delivery.state == "delivered"


async def test_a_drain_in_a_hurry_waits_for_nothing(redis: Any) -> None:
    hurry = asyncio.Event()
    async with listening(hang) as there, courier(redis, seconds=60) as working:
        job_id = await finished(redis, url_of(there))
        await until(lambda: len(there.got) == 1)
        draining = asyncio.create_task(working.drain(60, hurry))
        hurry.set()
        await asyncio.wait_for(draining, 10)
        assert (await logged(redis, job_id)).delivery.state == "pending"


async def test_two_couriers_share_the_work_and_send_nothing_twice(redis: Any) -> None:
    async with listening() as there, courier(redis), courier(redis):
        jobs = [await finished(redis, url_of(there, f"{n % 9}.example")) for n in range(60)]
        for job_id in jobs:
            await in_state(redis, job_id, DeliveryState.DELIVERED)
    assert sorted(got.json["data"]["id"] for got in there.got) == sorted(jobs)


async def test_secrets_and_outputs_stay_out_of_what_is_logged(redis: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async with listening(answer(410)) as there, courier(redis):
        endpoint = await endpoint_of(redis, there)
        job_id = await finished(redis, to(endpoint), output="a secret result")
        await in_state(redis, job_id, DeliveryState.FAILED)
        await until(lambda: metrics.WEBHOOKS_IN_FLIGHT._value.get() == 0)
    written = "".join(capsys.readouterr())
    assert "webhook_failed" in written
    assert "whsec_" not in written
    assert "secret result" not in written
    assert "/hook" not in written, "addresses may hold keys"
    record = json.dumps(
        [
            await redis.hgetall(keys.job(job_id)),
            await redis.hgetall(keys.delivery((await logged(redis, job_id)).delivery.id)),
        ]
    )
    assert "whsec_" not in record
