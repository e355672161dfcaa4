import contender_cli
import submission


class DramatiqDriver:
    bulk = "dramatiq.group(…).run(), which sends one by one"

    def open(self, options):
        import dramatiq_app  # reads the options from the environment

        self.app = dramatiq_app

    def submit(self, job, submitted, seconds, input):
        self.app.job.send(job, submitted, seconds, input)

    def submit_many(self, items):
        import dramatiq

        dramatiq.group([self.app.job.message(*item) for item in items]).run()

    def close(self):
        self.app.broker.close()


submission.run(DramatiqDriver(), contender_cli.driver_options())
