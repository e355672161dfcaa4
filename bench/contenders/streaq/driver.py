import contender_cli
import submission

_AT_ONCE = 1000


class StreaqDriver:
    bulk = "Worker.enqueue_many, one pipeline for 1,000"

    async def open(self, options):
        import streaq_app  # reads the options from the environment

        self.app = streaq_app
        await streaq_app.worker.__aenter__()

    async def submit(self, job, submitted, seconds, input):
        await self.app.job.enqueue(job, submitted, seconds, input)

    async def submit_many(self, items):
        for first in range(0, len(items), _AT_ONCE):
            jobs = [self.app.job.enqueue(*item) for item in items[first : first + _AT_ONCE]]
            await self.app.worker.enqueue_many(jobs)

    async def close(self):
        await self.app.worker.__aexit__(None, None, None)


submission.run(StreaqDriver(), contender_cli.driver_options())
