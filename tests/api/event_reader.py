"""Reading an event stream with the format of each line checked; who only wants the events takes the client."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from api.event_schemas import EventResource

Event = dict[str, Any]


@asynccontextmanager
async def reading(
    http: httpx2.AsyncClient, job_id: str, after: int | None = None, **headers: str
) -> AsyncIterator["EventReader"]:
    """A stream that is open, from the event after number `after` on."""
    headers |= {"Accept": "text/event-stream"} | ({} if after is None else {"Last-Event-ID": str(after)})
    async with http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        yield EventReader(answer)


class EventReader:
    """The events of one answer, in order. `status` is the answer's; `pings` are counted, `retry_ms` is kept."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self.status = answer.status_code
        self.pings = 0
        self.retry_ms: int | None = None

    async def __aiter__(self) -> AsyncIterator[Event]:
        assert self.status == 200
        assert self.answer.headers["content-type"].split(";")[0] == "text/event-stream"
        fields: dict[str, str] = {}
        async for line in self.answer.aiter_lines():
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                self.pings += 1
            elif name == "retry":
                self.retry_ms = int(value)
            elif line:
                assert name not in fields, "one line for each field"
                fields[name] = value
            elif fields:
                event = json.loads(fields["data"])
                assert EventResource.model_validate(event).model_dump() == event
                assert (str(event["id"]), event["type"]) == (fields["id"], fields["event"])
                fields = {}
                yield event


async def stream_of(http: httpx2.AsyncClient, job_id: str, after: int | None = None) -> list[Event]:
    """All events until the stream ends."""
    async with reading(http, job_id, after) as reader:
        return [event async for event in reader]


async def list_of(http: httpx2.AsyncClient, job_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
    answer = await http.get(f"/v1/jobs/{job_id}/events", params={"starting_after": after, "limit": limit})
    assert answer.status_code == 200, answer.text
    events: list[Event] = answer.json()["data"]
    return events
