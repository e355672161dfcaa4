"""Notes: kept by title, in the session or in the job, never too many, and gone when what they belong to is gone."""

import pytest

from shared import ids, keys
from shared.job import JobSpec
from shared.queue import Conclusion, Queue
from shared.redis_client import Redis
from shared.scratchpad import MAX_NOTES, Scratchpad
from shared.states import Event
from shared.submission import Caps
from tests.shared.queueing import claim


def pad(redis: Redis, tenant: str = "default", session: str | None = "s", job_id: str = "job_1") -> Scratchpad:
    return Scratchpad(redis, tenant=tenant, session_id=session, job_id=job_id)


async def test_notes_are_read_by_title_in_order(redis: Redis) -> None:
    notes = pad(redis)
    assert await notes.read() == {}
    assert await notes.write("b", "two")
    assert await notes.write("a", "Grüße\n")
    assert list((await notes.read()).items()) == [("a", "Grüße\n"), ("b", "two")]


async def test_a_note_of_the_same_title_is_written_over(redis: Redis) -> None:
    notes = pad(redis)
    await notes.write("a", "one")
    await notes.write("a", "two")
    assert await notes.read() == {"a": "two"}


async def test_there_are_never_too_many_but_one_may_still_be_changed(redis: Redis) -> None:
    notes = pad(redis)
    for number in range(MAX_NOTES):
        assert await notes.write(f"{number:03}", "x")

    assert not await notes.write("one more", "x")
    assert await notes.write("000", "changed")

    kept = await notes.read()
    assert len(kept) == MAX_NOTES
    assert kept["000"] == "changed"


async def test_a_session_is_seen_by_its_own_jobs_only(redis: Redis) -> None:
    await pad(redis, job_id="job_1").write("a", "mine")

    assert await pad(redis, job_id="job_2").read() == {"a": "mine"}
    assert await pad(redis, session="other").read() == {}
    assert await pad(redis, tenant="other").read() == {}
    assert await pad(redis, session=None).read() == {}


@pytest.mark.parametrize("event", [Event.SUCCEED, Event.FAIL])
async def test_a_jobs_notes_end_with_the_job(redis: Redis, event: Event) -> None:
    queue = Queue(redis, retention_ms=60_000)
    job_id = ids.new_job_id()
    spec = JobSpec(tenant="default", agent="researcher", input="hello", chain="default")
    await queue.submit(job_id, spec, caps=Caps(max_depth=10))
    await claim(queue, "worker", 1)
    await pad(redis, session=None, job_id=job_id).write("a", "one")
    assert await redis.ttl(keys.job_notes(job_id)) > 7 * 86_400, "far longer than a job runs"  # type: ignore[attr-defined]

    await queue.finish("worker", job_id, Conclusion(event))

    assert 0 < await redis.ttl(keys.job_notes(job_id)) <= 60  # type: ignore[attr-defined]
