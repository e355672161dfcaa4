from job_log import body


async def job(job, submitted, seconds, input):
    return await body(job, submitted, seconds)
