"""`/v1/jobs:batch`: many jobs in one request."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import Response

from api import presenter
from api.access import SubmitterOf
from api.admission import REFUSED
from api.batch import Batch, Result, Taken
from api.batch_schemas import BatchRequest, BatchResource, Envelope
from api.body import MAX_DEPTH, read_json
from api.documents import BODY, answer, errors, json_body
from api.idempotency import KEY_HEADER
from api.parsed_body import parsed
from api.parts import Parts, PartsOf
from api.problems import FieldError, Problem, draining, invalid
from api.strict_route import StrictRoute
from shared.tracing import current_traceparent

router = APIRouter(prefix="/v1/jobs:batch", tags=["jobs"], route_class=StrictRoute)

_ABOVE_A_JOB = 2
"""Levels of a batch above its jobs, each of which may be nested as deep as one that comes alone."""


@router.post(
    "",
    operation_id="submit_jobs",
    response_model=BatchResource,
    responses=errors(*BODY, *REFUSED)
    | {
        200: answer(
            "What became of each job. `Retry-After` says when to send those with a 429 again.",
            "all_taken",
            "one_is_wrong",
            "the_queue_filled_up",
            headers=("Retry-After", "RateLimit", "RateLimit-Policy"),
        )
    },
    openapi_extra=json_body(BatchRequest, "each_by_itself", "all_or_nothing"),
    summary="Submit many jobs",
)
async def submit_batch(request: Request, parts: PartsOf, tenant: SubmitterOf) -> Response:
    """Takes each job as if it had been sent alone, and answers 200 with what became of each, in their order, once those
    that were taken cannot be lost any more. When the queue fills up, the first are taken and the rest are 429 each.

    With `all_or_nothing` all come in at the same moment, or the answer is the error of the first that cannot, with
    the pointers of all that have the same, and none is taken. Jobs that their keys have made before count as taken.

    After a 503, or no answer at all, send the same batch again: jobs with an `idempotency_key` count once."""
    if parts.draining:
        raise draining()
    if KEY_HEADER in request.headers:
        detail = "is for single jobs: give each job of a batch an idempotency_key"
        raise invalid(FieldError(pointer=KEY_HEADER, detail=detail))
    body = await read_json(request, max_bytes=parts.settings.api.max_batch_bytes, max_depth=MAX_DEPTH + _ABOVE_A_JOB)
    envelope = parsed(Envelope, body)
    batch = Batch(parts, tenant, current_traceparent(request.headers.get("traceparent")))
    results = await batch.submit(envelope.jobs, together=envelope.all_or_nothing)
    accepted = sum(isinstance(one, Taken) for one in results)
    told = {
        "object": "batch",
        "accepted": accepted,
        "refused": len(results) - accepted,
        "data": [await _told(one, request, parts) for one in results],
    }
    return Response(to_json(told, inf_nan_mode="null"), 200, _headers(results), media_type="application/json")


async def _told(result: Result, request: Request, parts: Parts) -> dict[str, Any]:
    if isinstance(result, Taken):
        job = presenter.job_resource(result.sighting, await parts.directory.estimate(result.sighting.job))
        return {"status": 202, "job": job, "error": None, "idempotency_replayed": result.replayed}
    error = result.document(instance=request.url.path, request_id=request.state.request_id)
    return {"status": result.status, "job": None, "error": error, "idempotency_replayed": False}


def _headers(results: list[Result]) -> dict[str, str]:
    """When to come back with what was not taken, as the first of them says."""
    refusal = next((one for one in results if isinstance(one, Problem) and "Retry-After" in one.headers), None)
    return dict(refusal.headers) if refusal else {}
