"""The outbox: written with the event itself, leased to couriers, fair to hosts, kept for the log."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from shared import clock, ids, keys
from shared.actions import Actions
from shared.deliveries import Deliveries
from shared.delivery import DeliveryState, FailedBecause, Try
from shared.endpoints import Endpoints
from shared.job import JobSpec, Schedule, WaitReason
from shared.outbox import LEASE_MS, Outbox, Parcel, Pickup, Room, Settlement
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.scripts import script
from shared.states import FINISHED, Event
from shared.submission import Accepted
from shared.webhook import JOB_URLS, USUAL_EVENTS, EventType, Webhook
from tests.shared.queueing import RETENTION_MS, asked, claim, die, spec, sweep
from worker.webhooks.message import body

ALL = tuple(str(one) for one in EventType)
PLENTY = Room(most=50, per_well=50, per_other=50, others=50)
DELIVERED = Settlement(DeliveryState.DELIVERED)


@pytest.fixture
def queue(redis: Any) -> Queue:
    return Queue(redis, retention_ms=RETENTION_MS)


@pytest.fixture
def outbox(redis: Any) -> Outbox:
    return Outbox(redis, retention_ms=RETENTION_MS)


def told(host: str = "a.example", events: tuple[str, ...] = USUAL_EVENTS, **fields: Any) -> JobSpec:
    """A job whose receiver is a URL at that host."""
    return spec(webhook=Webhook(JOB_URLS, host, f"https://{host}/hook", events), **fields)


async def submitted(queue: Queue, what: JobSpec) -> str:
    answer = await queue.submit(ids.new_job_id(), what)
    assert isinstance(answer, Accepted)
    return answer.job_id


async def finished(queue: Queue, what: JobSpec, output: str = "Done.") -> str:
    """A job that has run and succeeded."""
    job_id = await submitted(queue, what)
    await claim(queue, "worker")
    await queue.finish("worker", job_id, Conclusion(Event.SUCCEED, output))
    return job_id


async def types(outbox: Outbox) -> list[str]:
    return [parcel.delivery.type for parcel in (await outbox.claim(PLENTY)).parcels]


async def ripen(redis: Any) -> None:
    """Everything in the outbox is due now."""
    for host in await redis.zrange(keys.OUTBOX, 0, -1):
        for one in await redis.zrange(keys.OUTBOX_HOST + host, 0, -1):
            await redis.zadd(keys.OUTBOX_HOST + host, {one: 1})
        await redis.zadd(keys.OUTBOX, {host: 1})


def hosts_of(pickup: Pickup) -> list[str]:
    return [parcel.delivery.host for parcel in pickup.parcels]


@pytest.mark.parametrize(
    ("event", "type"),
    [(Event.SUCCEED, "job.succeeded"), (Event.STOP_SHORT, "job.incomplete"), (Event.FAIL, "job.failed")],
)
async def test_an_end_is_in_the_outbox_the_moment_it_is_written(
    redis: Any, queue: Queue, outbox: Outbox, event: Event, type: str
) -> None:
    job_id = await submitted(queue, told(metadata={"order": "7"}, session_id="s"))
    await claim(queue, "worker")
    await queue.finish("worker", job_id, Conclusion(event, "Said."))

    (parcel,) = (await outbox.claim(PLENTY)).parcels

    record = await redis.hgetall(keys.job(job_id))
    happened = parcel.delivery.event
    assert happened is not None
    assert (parcel.delivery.type, parcel.delivery.state) == (type, "pending")
    assert (happened.job_id, happened.status, happened.agent) == (job_id, record["status"], "assistant")
    assert (happened.metadata, happened.session_id) == ({"order": "7"}, "s")
    assert str(happened.revision) == record["revision"]
    assert parcel.output == "Said."
    assert str(parcel.delivery.at_ms) == record["finished_ms"]


async def test_a_finish_that_is_repeated_after_a_lost_answer_makes_one_delivery(queue: Queue, outbox: Outbox) -> None:
    job_id = await finished(queue, told())
    await queue.finish("worker", job_id, Conclusion(Event.SUCCEED, "Done."))

    assert await types(outbox) == ["job.succeeded"]


async def test_a_cancel_of_a_waiting_job_is_told(queue: Queue, outbox: Outbox) -> None:
    await queue.cancel(await submitted(queue, told()))

    assert await types(outbox) == ["job.cancelled"]


async def test_a_cancel_of_a_running_job_is_told_when_it_has_ended_and_once(queue: Queue, outbox: Outbox) -> None:
    job_id = await submitted(queue, told())
    await claim(queue, "worker")
    await queue.cancel(job_id)
    assert await types(outbox) == []

    await queue.finish("worker", job_id, Conclusion(Event.SUCCEED, "Too late."))

    assert await types(outbox) == ["job.cancelled"]


async def test_an_expiry_is_told(redis: Any, queue: Queue, outbox: Outbox) -> None:
    job_id = await submitted(queue, told(schedule=Schedule(ttl_ms=600_000)))
    await redis.zadd(keys.EXPIRING, {job_id: 1})

    await sweep(redis)

    (parcel,) = (await outbox.claim(PLENTY)).parcels
    assert (parcel.delivery.type, parcel.output_bytes) == ("job.expired", 0)


async def test_the_end_of_a_job_whose_worker_died_while_it_was_cancelled_is_told(
    redis: Any, queue: Queue, outbox: Outbox
) -> None:
    job_id = await submitted(queue, told())
    await claim(queue, "worker")
    await queue.cancel(job_id)

    await die(redis, "worker")

    assert await types(outbox) == ["job.cancelled"]


async def test_a_start_is_told_once_and_only_to_who_asked(queue: Queue, outbox: Outbox) -> None:
    quiet, curious = await submitted(queue, told("quiet.example")), await submitted(queue, told("b.example", ALL))
    await claim(queue, "worker", 2)
    pickup = await outbox.claim(PLENTY)
    assert [(parcel.delivery.host, parcel.delivery.type) for parcel in pickup.parcels] == [("b.example", "job.started")]
    assert pickup.parcels[0].output_bytes is None, "it has not ended"

    await queue.release("worker", curious, WaitReason.CAPACITY)
    await claim(queue, "worker", 2)

    assert await types(outbox) == []
    await queue.cancel(quiet)


async def test_a_wait_for_a_person_is_told_with_what_is_asked(redis: Redis, queue: Queue, outbox: Outbox) -> None:
    job_id = await submitted(queue, told())
    (job,) = (await claim(queue, "worker")).jobs
    question = asked(job_id, input={"what": "a secret"})

    await Actions(redis).ask("worker", job, [question], wait_ms=60_000, retention_ms=60_000)

    (parcel,) = (await outbox.claim(PLENTY)).parcels
    assert (parcel.delivery.type, parcel.output_bytes) == ("job.requires_action", None)
    assert parcel.delivery.event is not None
    assert parcel.delivery.event.status == "requires_action"
    assert parcel.delivery.event.actions is not None
    (action,) = parcel.delivery.event.actions
    assert action == question.brief() | {"expires_ms": action["expires_ms"]}
    data = json.loads(body(parcel))["data"]
    expires_at = clock.rfc3339(action["expires_ms"])
    wanted = {name: value for name, value in question.brief().items() if name != "action_id"}
    assert data["required_actions"] == [{"id": question.id, "expires_at": expires_at} | wanted]
    assert "secret" not in str(data)
    await queue.cancel(job_id)
    assert await types(outbox) == ["job.cancelled"]


async def test_only_the_events_that_were_asked_for_are_told(queue: Queue, outbox: Outbox) -> None:
    await finished(queue, told(events=("job.failed", "job.cancelled")))

    assert await types(outbox) == []


async def test_every_script_that_moves_a_job_writes_the_outbox() -> None:
    """The one place where a status changes calls `post`, so whoever uses that place must have it."""
    folder = Path(__file__).parents[2] / "shared" / "lua"
    moving = [path for path in folder.glob("*.lua") if "job_states" in path.read_text("utf-8").split("RETURNS")[0]]
    assert len(moving) > 5
    for path in moving:
        if path.stem != "job_states":
            text = script(path.stem).text
            assert text.index("local function post(") < text.index("local function become("), path.name


def test_every_end_and_every_wait_for_a_person_has_its_type() -> None:
    assert {f"job.{status}" for status in FINISHED} | {"job.started", "job.requires_action"} == set(EventType)
    assert set(USUAL_EVENTS) == set(EventType) - {EventType.STARTED}


async def test_jobs_without_a_webhook_leave_nothing(redis: Any, queue: Queue) -> None:
    await finished(queue, spec())

    assert not await redis.exists(keys.OUTBOX)
    assert not [key async for key in redis.scan_iter(match=f"{keys.DELIVERY}*")]


async def test_an_output_is_sent_along_up_to_20_kilobytes(queue: Queue, outbox: Outbox) -> None:
    await finished(queue, told(), "ä" * 10_240)
    await finished(queue, told(), "x" * 20_481)

    short, long = (await outbox.claim(PLENTY)).parcels

    assert (short.output, short.output_bytes) == ("ä" * 10_240, 20_480)
    assert (long.output, long.output_bytes) == (None, 20_481)


async def test_a_job_that_is_gone_is_still_told_of_without_its_output(redis: Any, queue: Queue, outbox: Outbox) -> None:
    job_id = await finished(queue, told(metadata={"order": "7"}))
    await redis.delete(keys.job(job_id))

    (parcel,) = (await outbox.claim(PLENTY)).parcels

    assert (parcel.output, parcel.output_bytes) == (None, None)
    assert parcel.delivery.event is not None
    assert (parcel.delivery.event.status, parcel.delivery.event.metadata) == ("succeeded", {"order": "7"})


async def test_a_delivery_is_one_couriers_until_its_lease_ends(redis: Any, queue: Queue, outbox: Outbox) -> None:
    await finished(queue, told())
    (mine,) = (await outbox.claim(PLENTY)).parcels
    pickup = await outbox.claim(PLENTY)
    assert pickup.parcels == []
    assert pickup.next_seconds is not None
    assert LEASE_MS / 1000 - 5 < pickup.next_seconds <= LEASE_MS / 1000

    await ripen(redis)  # the lease is over
    (theirs,) = (await outbox.claim(PLENTY)).parcels

    assert theirs.delivery.id == mine.delivery.id, "webhook-id stays"
    assert not await outbox.settle(mine.delivery, DELIVERED, None), "it is somebody else's by now"
    assert await outbox.settle(theirs.delivery, DELIVERED, None)
    assert not await outbox.settle(theirs.delivery, DELIVERED, None), "settled once"


async def test_one_that_failed_is_due_again_after_its_pause(redis: Any, queue: Queue, outbox: Outbox) -> None:
    await finished(queue, told())
    (parcel,) = (await outbox.claim(PLENTY)).parcels
    made = Try(1, 500, 12, None, None)

    await outbox.settle(parcel.delivery, Settlement(DeliveryState.PENDING, delay_seconds=300), made)

    pickup = await outbox.claim(PLENTY)
    assert pickup.parcels == []
    assert pickup.next_seconds is not None
    assert 290 < pickup.next_seconds <= 300
    await ripen(redis)
    (again,) = (await outbox.claim(PLENTY)).parcels
    assert again.delivery.tries == 1
    logged = await Deliveries(redis).find("default", again.delivery.id)
    assert logged is not None
    assert logged.tries == [made]


async def test_what_is_given_back_counts_no_attempt(queue: Queue, outbox: Outbox) -> None:
    await finished(queue, told())
    (parcel,) = (await outbox.claim(PLENTY)).parcels

    await outbox.settle(parcel.delivery, Settlement(DeliveryState.PENDING), None)

    (again,) = (await outbox.claim(PLENTY)).parcels
    assert again.delivery.tries == 0


@pytest.mark.parametrize("retention_ms", [60_000, 7 * clock.DAY_MS])
async def test_what_has_ended_is_kept_as_long_as_a_job_and_for_a_day_at_least(
    redis: Any, queue: Queue, retention_ms: int
) -> None:
    outbox = Outbox(redis, retention_ms=retention_ms)
    await finished(queue, told())
    (parcel,) = (await outbox.claim(PLENTY)).parcels
    key = keys.delivery(parcel.delivery.id)
    assert await redis.ttl(key) == -1, "it waits for as long as it takes"

    await outbox.settle(parcel.delivery, DELIVERED, Try(1, 204, 3, None, None))

    kept = max(retention_ms, clock.DAY_MS)
    for one in (key, key + keys.ATTEMPTS):
        assert kept - 10_000 < await redis.pttl(one) <= kept
    assert await redis.pttl(keys.tenant_deliveries("default")) > kept
    assert not await redis.exists(keys.OUTBOX)


async def test_many_hosts_are_served_rather_than_many_of_one(queue: Queue, outbox: Outbox) -> None:
    for _ in range(6):
        await finished(queue, told("busy.example"))
    for name in "ab":
        await finished(queue, told(f"{name}.example"))

    pickup = await outbox.claim(Room(6, 4, 1, 6, well=frozenset({"busy.example"})))

    assert sorted(hosts_of(pickup)) == ["a.example", "b.example", *["busy.example"] * 4]
    assert pickup.left


async def test_a_host_without_room_here_is_left_alone_and_one_that_is_new_comes_first(
    queue: Queue, outbox: Outbox
) -> None:
    for host in ("full.example", "half.example", "new.example"):
        for _ in range(3):
            await finished(queue, told(host))

    pickup = await outbox.claim(Room(4, 4, 3, 9, room={"full.example": 0, "half.example": 2}))

    assert hosts_of(pickup) == [*["new.example"] * 3, "half.example"]


async def test_hosts_that_are_not_well_share_what_is_left_for_them(queue: Queue, outbox: Outbox) -> None:
    for name in "abcd":
        for _ in range(2):
            await finished(queue, told(f"{name}.example"))
    for _ in range(2):
        await finished(queue, told("well.example"))

    pickup = await outbox.claim(Room(9, 4, 1, 3, well=frozenset({"well.example"})))

    assert sorted(hosts_of(pickup)) == ["a.example", "b.example", "c.example", *["well.example"] * 2]


async def test_one_courier_is_called_and_passes_on_what_is_too_much_for_it(
    redis: Any, queue: Queue, outbox: Outbox
) -> None:
    for name in "abc":
        await finished(queue, told(f"{name}.example"))
    assert await redis.llen(keys.OUTBOX_WAKE) == 1
    assert await outbox.called(1)

    await outbox.claim(Room(2, 4, 4, 9))
    assert await outbox.called(1), "there was more than it could take"
    await outbox.pass_on()
    assert await outbox.called(1)
    await outbox.claim(PLENTY)
    await outbox.pass_on()
    assert not await redis.exists(keys.OUTBOX_WAKE)


async def test_the_age_of_the_oldest_is_known(redis: Any, queue: Queue, outbox: Outbox) -> None:
    assert (await outbox.claim(PLENTY)).oldest_seconds == 0
    await finished(queue, told())
    now_s, _ = await redis.time()
    for key in (keys.OUTBOX, keys.OUTBOX_HOST + "a.example"):
        (member,) = await redis.zrange(key, 0, -1)
        await redis.zadd(key, {member: now_s * 1000 - 90_000})

    assert (await outbox.claim(PLENTY)).oldest_seconds == pytest.approx(90, abs=5)


async def test_a_record_of_another_version_keeps_nobody_back(redis: Any, queue: Queue, outbox: Outbox) -> None:
    job_id = await finished(queue, told())
    await redis.hset(keys.delivery(f"{ids.delivery_ids_of(job_id)}3"), "about", "{}")
    await finished(queue, told())

    (parcel,) = (await outbox.claim(PLENTY)).parcels

    assert parcel.delivery.event is not None
    assert parcel.delivery.event.job_id != job_id


async def test_a_list_forgets_what_is_gone_when_others_come(redis: Any, queue: Queue) -> None:
    await finished(queue, told())
    (old,) = await redis.zrange(keys.tenant_deliveries("default"), 0, -1)
    await redis.delete(keys.delivery(old))
    await redis.zrem(keys.OUTBOX_HOST + "a.example", old)

    await finished(queue, told())

    assert old not in await redis.zrange(keys.tenant_deliveries("default"), 0, -1)


async def settled(outbox: Outbox, parcel: Parcel, settlement: Settlement) -> None:
    assert await outbox.settle(parcel.delivery, settlement, Try(1, 500, 1, None, None))


async def test_a_replay_is_due_now_with_all_attempts_before_it(redis: Any, queue: Queue, outbox: Outbox) -> None:
    await finished(queue, told())
    (parcel,) = (await outbox.claim(PLENTY)).parcels
    await settled(outbox, parcel, Settlement(DeliveryState.FAILED, FailedBecause.EXHAUSTED))
    log = Deliveries(redis)

    assert not await log.replay("acme", parcel.delivery.id), "another tenant's"
    assert await log.replay("default", parcel.delivery.id)

    (again,) = (await outbox.claim(PLENTY)).parcels
    assert (again.delivery.id, again.delivery.tries, again.delivery.reason) == (parcel.delivery.id, 0, None)
    assert again.output == "Done."
    assert await redis.ttl(keys.delivery(parcel.delivery.id)) == -1
    logged = await log.find("default", parcel.delivery.id)
    assert logged is not None
    assert len(logged.tries) == 1, "what was before stays in the log"


async def test_a_replay_leaves_one_that_is_under_way_alone(redis: Any, queue: Queue, outbox: Outbox) -> None:
    await finished(queue, told())
    (parcel,) = (await outbox.claim(PLENTY)).parcels

    assert await Deliveries(redis).replay("default", parcel.delivery.id)

    assert (await outbox.claim(PLENTY)).parcels == []
    assert await outbox.settle(parcel.delivery, DELIVERED, None)


async def test_no_more_than_fifty_attempts_are_kept(redis: Any, queue: Queue, outbox: Outbox) -> None:
    await finished(queue, told())
    for status in range(60):
        (parcel,) = (await outbox.claim(PLENTY)).parcels
        await outbox.settle(parcel.delivery, Settlement(DeliveryState.PENDING), Try(1, status, 1, None, None))

    logged = await Deliveries(redis).find("default", parcel.delivery.id)

    assert logged is not None
    assert [made.status for made in logged.tries] == list(range(10, 60))


async def test_a_tenants_deliveries_are_listed_page_by_page_and_by_job(redis: Any, queue: Queue) -> None:
    jobs = [await finished(queue, told(events=ALL)) for _ in range(3)]
    theirs = await finished(queue, told(tenant="acme"))
    log = Deliveries(redis)

    seen, after = [], None
    for _ in itertools.repeat(None, 10):
        page, more = await log.page("default", job_id=None, limit=4, after=after)
        seen += [one.delivery.event.job_id for one in page if one.delivery.event]
        after = page[-1].delivery.id
        if not more:
            break
    of_one, _ = await log.page("default", job_id=jobs[1], limit=10, after=None)

    assert seen == [job for job in reversed(jobs) for _ in range(2)]
    assert {one.delivery.type for one in of_one} == {"job.started", "job.succeeded"}
    assert (await log.page("default", job_id=theirs, limit=10, after=None)) == ([], False)


async def test_endpoints_are_their_tenants_own(redis: Any) -> None:
    endpoints = Endpoints(redis)
    made = await endpoints.add("acme", url="https://a.example/", description="x")
    assert made is not None

    assert await endpoints.find("default", made.id) is None
    assert await endpoints.all("default") == []
    assert await endpoints.rotate("default", made.id) is None
    assert not await endpoints.remove("default", made.id)
    assert await endpoints.all("acme") == [made]
    assert await endpoints.remove("acme", made.id)
    assert await endpoints.find("acme", made.id) is None


async def test_after_a_rotation_both_secrets_sign_for_a_day(redis: Any) -> None:
    endpoints = Endpoints(redis)
    made = await endpoints.add("acme", url="https://a.example/", description="")
    assert made is not None

    rotation = await endpoints.rotate("acme", made.id)

    assert rotation is not None
    assert rotation.prior_until_ms is not None
    found = await endpoints.find("acme", made.id)
    assert found is not None
    now_ms = rotation.prior_until_ms - clock.DAY_MS
    assert found.secrets(now_ms) == [rotation.secret, made.secret]
    assert found.secrets(rotation.prior_until_ms) == [rotation.secret]
    assert made.secret.get_secret_value() not in repr([made, found, rotation])


async def test_the_secret_for_job_urls_is_made_once_and_can_be_asked_for(redis: Any) -> None:
    endpoints = Endpoints(redis)
    first, again = [await endpoints.for_job_urls("acme") for _ in range(2)]
    assert first.secret == again.secret
    rotation = await endpoints.rotate("acme", JOB_URLS)
    assert rotation is not None
    assert rotation.prior_until_ms is not None
    fresh = await endpoints.rotate("globex", JOB_URLS)
    assert fresh is not None
    assert fresh.prior_until_ms is None, "there was none before"
