"""Read what agents say while they say it, two jobs beside each other: `python -m examples.client_stream`.

The same with curl, for one job; after a break come again with the last `id:` you have, as the header Last-Event-ID:

    curl -N "$SLUICE_URL/v1/jobs/JOB_ID/events" -H "Authorization: Bearer $SLUICE_KEY" -H 'Accept: text/event-stream'
"""

import asyncio
import os

from client.sluice_client import AsyncSluice

URL = os.environ.get("SLUICE_URL", "http://127.0.0.1:8000")
KEY = os.environ.get("SLUICE_KEY")
QUESTIONS = ("What is 17 * 23?", "What time is it in Tokyo?")


async def main() -> None:
    async with AsyncSluice(URL, KEY) as sluice:
        answers = await asyncio.gather(*(follow(sluice, question) for question in QUESTIONS))
    for question, answer in zip(QUESTIONS, answers, strict=True):
        print(f"\n{question}\n{answer}")


async def follow(sluice: AsyncSluice, question: str) -> str:
    """Prints what happens; the text of the last turn, as it is in the job's output."""
    job = await sluice.submit("researcher", question)
    text = ""
    async for event in sluice.stream(job["id"]):
        match event:
            case {"type": "turn.started" | "turn.restarted"}:  # what a turn has said is void when it begins again
                text = ""
            case {"type": "text.delta", "data": {"text": said}}:
                text += said
            case {"type": "tool.started", "data": {"name": tool}}:
                print(f"{question} → {tool}")
            case {"type": kind} if kind.startswith("job."):
                print(f"{question} → {kind.removeprefix('job.')}")
    return text


if __name__ == "__main__":
    asyncio.run(main())
