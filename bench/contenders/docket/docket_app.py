from job_log import body


async def job(job: str, submitted: int, seconds: float, input: str) -> dict:
    return await body(job, submitted, seconds)


tasks = [job]
