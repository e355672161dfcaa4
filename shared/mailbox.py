"""The mailbox of a job: messages are put in by the api and taken out by the worker that holds the job.

All methods raise StoreUnavailable, and are safe to repeat then.

What the scripts promise stands in their headers (`shared/lua/job_message.lua`, `job_hear.lua`).
"""

import json
from dataclasses import dataclass

from shared import ids
from shared.errors import LeaseLost
from shared.journal import from_json
from shared.message import LONGEST_TOLD, MOST_UNHEARD, Message
from shared.redis_client import Redis
from shared.scripts import script
from shared.states import Status
from shared.turn import Record


@dataclass(frozen=True, slots=True)
class Sent:
    """The message is kept. `before`: it was already, by the same key."""

    message: Message
    before: bool


@dataclass(frozen=True, slots=True)
class TooLate:
    """The job has ended, or is about to: with this status it hears nothing any more."""

    status: Status


@dataclass(frozen=True, slots=True)
class MailboxFull:
    """So many messages wait for the job already."""


class Mailbox:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def send(
        self, job_id: str, content: str, *, tenant: str, key: str = ""
    ) -> Sent | TooLate | MailboxFull | None:
        """Keeps a message for a job of this tenant; None for a job there is not, another tenant's included.

        With a `key` it is kept once however often it is sent; what was kept then may have another content.
        """
        message_id = ids.new_message_id()
        answer = await script("job_message")(
            self._redis,
            {},
            {
                "id": job_id,
                "tenant": tenant,
                "message": message_id,
                "content": json.dumps(content, ensure_ascii=False),
                "told": json.dumps(content if len(content) <= LONGEST_TOLD else None, ensure_ascii=False),
                "idempotency": key,
                "most": MOST_UNHEARD,
            },
        )
        match answer:
            case ["kept", text]:
                message = Message.from_json(text)
                return Sent(message, before=message.id != message_id)
            case ["late", status]:
                return TooLate(Status(status))
            case ["full"]:
                return MailboxFull()
        return None

    async def hear(self, owner: str, job_id: str, index: int, turn: int) -> list[Record]:
        """What came since, oldest first, which from now on is in the journal, from record number `index` on: heard
        after so many turns. Raises LeaseLost."""
        answer = await script("job_hear")(self._redis, {}, {"id": job_id, "owner": owner, "index": index, "turn": turn})
        if answer == "lost":
            raise LeaseLost(job_id)
        return [from_json(line) for line in answer]
