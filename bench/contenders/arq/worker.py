import contender_cli
from arq.connections import RedisSettings
from arq.worker import Worker
from job_log import body


async def job(ctx, job, submitted, seconds, input):
    return await body(job, submitted, seconds, attempt=ctx["job_try"])


def main():
    options = contender_cli.worker_options()
    chosen = {"job_timeout": options.time_limit}
    if options.slots:
        chosen["max_jobs"] = options.slots
    if options.profile != "default":
        contender_cli.use_uvloop()
    if options.profile in ("latency", "drain", "wall"):
        chosen["poll_delay"] = 0.01  # default 0.5
    if options.profile == "wall":
        # A running job stays in the queue's sorted set, and every poll reads only the first `queue_read_limit` entries
        # (default 5 × max_jobs), so all workers together never have more than that many jobs in flight.
        chosen["queue_read_limit"] = 5000
    if options.profile == "recover":
        chosen["job_timeout"] = 60  # the lock lives for the longest time limit and 10 s; nothing renews it
    if options.profile == "grace":
        chosen["job_completion_wait"] = 60  # default 0
    Worker(functions=[job], redis_settings=RedisSettings.from_dsn(options.redis), **chosen).run()


main()
