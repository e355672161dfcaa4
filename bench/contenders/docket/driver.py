import contender_cli
import docket_app
import submission
from docket import Docket


class DocketDriver:
    bulk = "Docket.add_many, which pipelines"

    async def open(self, options):
        self.docket = Docket(name="bench", url=options.redis)
        await self.docket.__aenter__()
        self.docket.register(docket_app.job)

    async def submit(self, job, submitted, seconds, input):
        await self.docket.add(docket_app.job, key=job)(job, submitted, seconds, input)

    async def submit_many(self, items):
        await self.docket.add_many([self.docket.call(docket_app.job, key=item[0])(*item) for item in items])

    async def close(self):
        await self.docket.__aexit__(None, None, None)


submission.run(DocketDriver(), contender_cli.driver_options())
