"""`/v1/jobs/{id}/fork` and `/retry`: a new job that goes on from what an old one has done."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import Response

from api import presenter
from api.access import SubmitterOf
from api.admission import REFUSED, Admitted, Repeated
from api.body import read_json, read_optional_json
from api.documents import BODY, answer, errors, json_body
from api.fork_schemas import ForkRequest, RetryRequest
from api.idempotency import KeyHeader, key_of
from api.lookup import find, made_before
from api.parsed_body import parsed
from api.parts import Parts, PartsOf
from api.problems import Code, draining
from api.schemas import JobResource
from api.strict_route import StrictRoute
from shared.tracing import current_traceparent

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)

_REFUSED = tuple(code for code in REFUSED if code not in (Code.URL_NOT_ALLOWED, Code.SESSION_BUSY))
_MADE: dict[int | str, dict[str, Any]] = {
    202: answer(
        "The new job is written down.",
        "forked_job",
        headers=("Location", "ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed"),
    )
}


@router.post(
    "/{job_id}/fork",
    operation_id="fork_job",
    status_code=202,
    response_model=JobResource,
    responses=errors(*BODY, Code.NOT_FOUND, Code.NOT_FINISHED, Code.HEARS_NO_MESSAGES, *_REFUSED, Code.GONE) | _MADE,
    openapi_extra=json_body(ForkRequest, "fork"),
    summary="Fork a job",
)
async def fork(
    request: Request, job_id: str, parts: PartsOf, tenant: SubmitterOf, idempotency_key: KeyHeader = None
) -> Response:
    """Makes a new job of the same agent and input whose transcript begins with turns 1 to `from_turn` of this one, tool
    results included; those are not bought again, nor are their tools run. The old job stays as it is. It may be under
    way, but not in the turn that is forked."""
    key = _key(request, parts, idempotency_key)
    job = (await find(parts, job_id, tenant)).job
    body = await read_json(request, max_bytes=parts.settings.api.max_body_bytes)
    wish = parsed(ForkRequest, body)
    made = await parts.forks.fork(job, wish, body, idempotency_key=key, traceparent=_traceparent(request))
    return await _answer(parts, made, tenant)


@router.post(
    "/{job_id}/retry",
    operation_id="retry_job",
    status_code=202,
    response_model=JobResource,
    responses=errors(
        *BODY, Code.NOT_FOUND, Code.NOT_FINISHED, Code.ALREADY_SUCCEEDED, Code.HEARS_NO_MESSAGES, *_REFUSED, Code.GONE
    )
    | _MADE,
    openapi_extra=json_body(RetryRequest, "with_more_money", required=False),
    summary="Try a job again",
)
async def retry(
    request: Request, job_id: str, parts: PartsOf, tenant: SubmitterOf, idempotency_key: KeyHeader = None
) -> Response:
    """A fork from the end of a job that failed, was cancelled, has expired or is incomplete. Tool calls that were under
    way are settled first, under the keys that they had: what may be repeated is, of the others a person is asked. An
    answer that was cut short is bought anew."""
    key = _key(request, parts, idempotency_key)
    job = (await find(parts, job_id, tenant)).job
    body = await read_optional_json(request, max_bytes=parts.settings.api.max_body_bytes)
    wish = parsed(RetryRequest, body)
    made = await parts.forks.retry(job, wish, body, idempotency_key=key, traceparent=_traceparent(request))
    return await _answer(parts, made, tenant)


def _key(request: Request, parts: Parts, given: str | None) -> str | None:
    """Raises Problem for a server that takes nothing any more, too."""
    if parts.draining:
        raise draining()
    return key_of(request, given)


def _traceparent(request: Request) -> str | None:
    return current_traceparent(request.headers.get("traceparent"))


async def _answer(parts: Parts, made: Admitted | Repeated, tenant: str) -> Response:
    headers, submits_left = {}, None
    if isinstance(made, Repeated):
        sighting = await made_before(parts, made.job_id, tenant)
        headers["Idempotency-Replayed"] = "true"
    else:
        sighting, submits_left = made.sighting, made.submits_left
    seconds = presenter.seconds_until_worth_asking(sighting)
    headers |= {
        "Location": f"/v1/jobs/{sighting.job.id}",
        "ETag": presenter.weak_tag(sighting.job.revision),
        "Retry-After": str(seconds),
    }
    headers |= parts.admission.rate_limit_headers(tenant, sighting.pace.waiting, seconds, submits_left)
    job = presenter.job_resource(sighting, await parts.directory.estimate(sighting.job))
    return Response(to_json(job), 202, headers, media_type="application/json")
