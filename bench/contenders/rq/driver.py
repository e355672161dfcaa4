import contender_cli
import rq_app
import submission
from redis import Redis
from rq import Queue, Retry


class RqDriver:
    bulk = "Queue.enqueue_many, one pipeline"

    def open(self, options):
        self.queue = Queue("bench", connection=Redis.from_url(options.redis))
        self.time_limit = options.time_limit
        self.chosen = {}
        if options.profile in ("recover", "grace"):
            self.chosen["retry"] = Retry(max=3)

    def submit(self, *item):
        self.queue.enqueue(rq_app.job, args=item, job_timeout=self.time_limit, **self.chosen)

    def submit_many(self, items):
        prepared = [Queue.prepare_data(rq_app.job, args=item, timeout=self.time_limit, **self.chosen) for item in items]
        self.queue.enqueue_many(prepared)

    def close(self):
        pass


submission.run(RqDriver(), contender_cli.driver_options())
