"""Finding a job for whoever asks: his own, or a problem that says why not."""

from api.parts import Parts
from api.problems import Code, Problem, no_such_job
from shared import ids
from shared.inspector import Sighting


async def find(parts: Parts, job_id: str, tenant: str) -> Sighting:
    """Raises Problem 404, for another tenant's job, too."""
    sighting = await parts.inspector.job(job_id, tenant=tenant) if ids.may_name_a_job(job_id) else None
    if sighting is None:
        raise no_such_job()
    return sighting


async def made_before(parts: Parts, job_id: str, tenant: str) -> Sighting:
    """The job of an Idempotency-Key, which may live longer than the job. Raises Problem 410."""
    sighting = await parts.inspector.job(job_id, tenant=tenant)
    if sighting is None:
        detail = f"This Idempotency-Key has made {job_id}, which was deleted, or removed after its retention."
        raise Problem(Code.GONE, f"{detail} Use a new key if the work is to be done again.")
    return sighting
