"""`/v1/workers`: the worker processes and what they run."""

from fastapi import APIRouter

from api.access import ObserverOf
from api.auth import Caller
from api.documents import answer, errors
from api.operation_schemas import RunningJobResource, WorkerList, WorkerResource
from api.parts import PartsOf
from api.strict_route import StrictRoute
from shared import clock
from shared.overview import MOST_JOBS, WorkerView

router = APIRouter(prefix="/v1/workers", tags=["operations"], route_class=StrictRoute)


@router.get(
    "",
    operation_id="list_workers",
    responses=errors() | {200: answer("The workers.", "worker_list")},
    summary="List workers",
)
async def list_workers(parts: PartsOf, caller: ObserverOf) -> WorkerList:
    """The workers that live, or whose jobs have not been given back yet, and which of your jobs each runs."""
    workers = await parts.overview.workers()
    return WorkerList(
        object="list",
        data=[_resource(worker, caller) for worker in workers],
        jobs_left_out=sum(worker.held for worker in workers) > MOST_JOBS,
    )


def _resource(worker: WorkerView, caller: Caller) -> WorkerResource:
    return WorkerResource(
        id=worker.id,
        state="alive" if worker.alive else "silent",
        last_sign_of_life_seconds=None if worker.silent_ms is None else round(worker.silent_ms / 1000, 1),
        has_watch=worker.has_watch,
        slots=worker.slots,
        running=worker.held,
        jobs=[
            RunningJobResource(
                id=job.id,
                tenant=job.tenant,
                status="cancelling" if job.status == "cancelling" else "running",
                since=clock.rfc3339(job.since_ms) or "",
            )
            for job in worker.jobs
            if caller.sees_all or job.tenant == caller.tenant
        ],
    )
