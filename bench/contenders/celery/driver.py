import contender_cli
import submission


class CeleryDriver:
    bulk = "one group of all signatures, one producer"

    def open(self, options):
        import celery_app  # reads the options from the environment

        self.app = celery_app

    def submit(self, job, submitted, seconds, input):
        self.app.job.apply_async((job, submitted, seconds, input))

    def submit_many(self, items):
        from celery import group

        group([self.app.job.s(*item) for item in items]).apply_async()

    def close(self):
        self.app.app.close()


submission.run(CeleryDriver(), contender_cli.driver_options())
