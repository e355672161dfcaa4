import contender_cli
import submission
from arq import create_pool
from arq.connections import RedisSettings


class ArqDriver:
    bulk = "50 at once; it has no bulk call"

    async def open(self, options):
        self.pool = await create_pool(RedisSettings.from_dsn(options.redis))

    async def submit(self, job, submitted, seconds, input):
        await self.pool.enqueue_job("job", job, submitted, seconds, input)

    async def submit_many(self, items):
        await submission.together(items, self.submit)

    async def close(self):
        await self.pool.aclose()


submission.run(ArqDriver(), contender_cli.driver_options())
