"""Submits through the queue, as the api does after it has checked a request."""

from argparse import Namespace
from collections.abc import Sequence

from bench.common import contender_cli, submission
from bench.common.submission import Item
from bench.contenders.sluice.parts import Producer
from shared.queue import MOST_AT_ONCE


class SluiceDriver:
    bulk = f"one call for {MOST_AT_ONCE}"

    def open(self, options: Namespace) -> None:
        self._producer = Producer(options.redis)

    async def submit(self, job: str, submitted: int, seconds: float, input: str) -> None:
        await self._producer.submit(job, submitted, seconds, input)

    async def submit_many(self, items: Sequence[Item]) -> None:
        await self._producer.submit_many(items)

    async def close(self) -> None:
        await self._producer.close()


if __name__ == "__main__":
    submission.run(SluiceDriver(), contender_cli.driver_options())
