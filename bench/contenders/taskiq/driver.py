import contender_cli
import submission


class TaskiqDriver:
    bulk = "50 at once; it has no bulk call"

    async def open(self, options):
        import taskiq_app  # reads the options from the environment

        self.app = taskiq_app
        await taskiq_app.broker.startup()

    async def submit(self, job, submitted, seconds, input):
        await self.app.job.kiq(job, submitted, seconds, input)

    async def submit_many(self, items):
        await submission.together(items, self.submit)

    async def close(self):
        await self.app.broker.shutdown()


submission.run(TaskiqDriver(), contender_cli.driver_options())
