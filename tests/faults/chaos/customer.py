"""The customer: hands in each errand until it is accepted, follows it to its end, and writes down all it was told.

It does what a good client does: it repeats after a 503, a 429 or a lost connection, with the same Idempotency-Key, and
waits as long as it was asked to. Anything else it is told is strange, and written down as such.
"""

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import httpx2

from client.sluice_client import FINISHED
from tests.faults.chaos.errands import TENANTS, Errand
from tests.faults.chaos.person import Person

_LONGEST_PAUSE = 1.0
_PAUSE = 0.1
_FOLLOW_SECONDS = 10
_PATIENCE_SECONDS = 30
_UNCHANGED = 304
_GOOD = {200, 202, _UNCHANGED}
_DECIDED = 409
"""What a decision is answered that was taken already: the first answer was lost."""
_PASSING = {429, 503}
_PROBLEM = "application/problem+json"


@dataclass(slots=True)
class Story:
    """What one customer saw of one errand."""

    errand: Errand
    job_ids: set[str] = field(default_factory=set)
    """All that its submits were answered with: one, if all is well."""
    seen: list[tuple[int, str]] = field(default_factory=list)
    """(revision, status) of each answer, in order."""
    last: dict[str, Any] = field(default_factory=dict)
    """The job as it was when it had ended."""
    again: dict[str, Any] = field(default_factory=dict)
    """The job as it is after the whole run."""
    cancel: str | None = None
    """The status that the cancel was answered with."""
    asked: int = 0
    """How often it was asked whether something has happened."""
    repeats: int = 0
    """How often something had to be asked again."""
    strange: list[str] = field(default_factory=list)

    @property
    def job_id(self) -> str:
        return min(self.job_ids, default="")

    def sees(self, job: dict[str, Any]) -> None:
        self.seen.append((job["revision"], job["status"]))
        if job["status"] in FINISHED:
            self.last = job


class Customer:
    """Talks to the api at `http` for the tenant of each errand, and asks `person` what he is asked."""

    def __init__(self, http: httpx2.AsyncClient, person: Person) -> None:
        self._http = http
        self._person = person

    async def see_through(self, story: Story) -> None:
        """From the submit to the end, however long that takes."""
        answer = await self._submit(story)
        while answer is not None:
            job = answer.json()
            story.job_ids.add(job["id"])
            story.sees(job)
            if self._cancels_now(story, job):
                await self._cancel(story)
            if story.last:
                return
            for action in job["required_actions"]:
                await self._decide(story, action)
            answer = await self._next_change(story, answer.headers["etag"])

    async def look_again(self, story: Story) -> None:
        """Repeats the submit, and reads the job once more, when all is over."""
        if repeated := await self._submit(story):
            story.job_ids.add(repeated.json()["id"])
        if answer := await self._ask(story, "GET", f"/v1/jobs/{story.job_id}"):
            story.again = answer.json()

    async def all_jobs(self, tenant: str) -> list[dict[str, Any]]:
        """All that the tenant has, by the list."""
        found: list[dict[str, Any]] = []
        parameters: dict[str, Any] = {"limit": 100}
        while True:
            answer = await self._http.get("/v1/jobs", params=parameters, headers=_key(tenant))
            page = answer.raise_for_status().json()
            found += page["data"]
            if not page["has_more"]:
                return found
            parameters["after"] = page["last_id"]

    def _cancels_now(self, story: Story, job: dict[str, Any]) -> bool:
        after = story.errand.cancel_after
        return after is not None and story.cancel is None and job["usage"]["turns"] >= after

    async def _submit(self, story: Story) -> httpx2.Response | None:
        headers = {"Idempotency-Key": story.errand.key}
        return await self._ask(story, "POST", "/v1/jobs", headers=headers, json=story.errand.body)

    async def _cancel(self, story: Story) -> None:
        answer = await self._ask(story, "POST", f"/v1/jobs/{story.job_id}/cancel")
        story.cancel = answer.json()["status"] if answer else ""
        if answer:
            story.sees(answer.json())

    async def _decide(self, story: Story, action: dict[str, Any]) -> None:
        story.asked += 1
        said = {"decision": await self._person.says(action)}
        await self._ask(story, "POST", action["links"]["decide"], good=_GOOD | {_DECIDED}, json=said)

    async def _next_change(self, story: Story, etag: str) -> httpx2.Response | None:
        path = f"/v1/jobs/{story.job_id}?wait={_FOLLOW_SECONDS}"
        while True:
            answer = await self._ask(story, "GET", path, headers={"If-None-Match": etag})
            if answer is None or answer.status_code != _UNCHANGED:
                return answer

    async def _ask(
        self, story: Story, method: str, path: str, good: AbstractSet[int] = _GOOD, **request: Any
    ) -> httpx2.Response | None:
        """The answer, however often it has to be asked for; None for a strange one."""
        request["headers"] = request.get("headers", {}) | _key(story.errand.tenant)
        while True:
            try:
                answer = await self._http.request(method, path, **request)
            except httpx2.TransportError:
                story.repeats += 1
                await asyncio.sleep(_PAUSE)
                continue
            if answer.status_code in good:
                return answer
            if not _honest_refusal(answer):
                story.strange.append(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
                return None
            story.repeats += 1
            await asyncio.sleep(min(_LONGEST_PAUSE, float(answer.headers["retry-after"])))


def _honest_refusal(answer: httpx2.Response) -> bool:
    """A problem document that says when to come again."""
    if answer.status_code not in _PASSING or not answer.headers.get("content-type", "").startswith(_PROBLEM):
        return False
    return answer.headers.get("retry-after", "").isdigit()


def _key(tenant: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TENANTS[tenant]}"}


def http_client(url: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=url,
        timeout=_PATIENCE_SECONDS,
        limits=httpx2.Limits(max_connections=None),
        trust_env=False,
    )


async def all_see_through(
    customer: Customer, stories: list[Story], *, at_once: int, on_end: Callable[[int], None], stall_seconds: float
) -> None:
    """Sees all errands through, so many at a time; gives up when nothing has ended for `stall_seconds`."""
    places = asyncio.Semaphore(at_once)
    progress = asyncio.Event()
    ended = 0

    async def one(story: Story) -> None:
        nonlocal ended
        async with places:
            await customer.see_through(story)
            ended += 1
            progress.set()
            on_end(ended)

    tasks = [asyncio.create_task(one(story)) for story in stories]
    everything = asyncio.gather(*tasks)
    while not everything.done():
        progress.clear()
        moved = asyncio.ensure_future(progress.wait())
        await asyncio.wait([everything, moved], timeout=stall_seconds, return_when=asyncio.FIRST_COMPLETED)
        moved.cancel()
        if not everything.done() and not progress.is_set():
            everything.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return
    await everything
