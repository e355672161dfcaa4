import contender_cli
import submission
from saq import Queue


class SaqDriver:
    bulk = "50 at once; the queue limits itself to max_concurrent_ops=20"

    async def open(self, options):
        self.queue = Queue.from_url(options.redis)
        await self.queue.connect()
        self.chosen = {"timeout": options.time_limit}
        if options.profile == "recover":
            self.chosen.update(heartbeat=3, retries=5)

    async def submit(self, job, submitted, seconds, input):
        await self.queue.enqueue("job", job=job, submitted=submitted, seconds=seconds, input=input, **self.chosen)

    async def submit_many(self, items):
        await submission.together(items, self.submit)

    async def close(self):
        await self.queue.disconnect()


submission.run(SaqDriver(), contender_cli.driver_options())
