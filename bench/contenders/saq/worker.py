import asyncio

import contender_cli
from job_log import body
from saq import Queue, Worker


def job_of(profile):
    async def job(ctx, *, job, submitted, seconds, input):
        # documented for heartbeat=: the job itself must call update()
        beat = ctx["job"].update if profile == "recover" else None
        return await body(job, submitted, seconds, attempt=ctx["job"].attempts, beat=beat)

    return ("job", job)


async def main(options):
    chosen = {}
    if options.slots:
        chosen["concurrency"] = options.slots
    if options.profile == "recover":
        chosen["timers"] = {"sweep": 1}  # default 60
    if options.profile == "grace":
        chosen["shutdown_grace_period_s"] = 60  # default none: jobs are cancelled at once
    await Worker(Queue.from_url(options.redis), functions=[job_of(options.profile)], **chosen).start()


options = contender_cli.worker_options()
if options.profile != "default":
    contender_cli.use_uvloop()
asyncio.run(main(options))
