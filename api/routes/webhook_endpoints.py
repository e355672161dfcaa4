"""`/v1/webhook_endpoints`: receivers of webhooks, and the secrets that deliveries to them are signed with."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.access import ReaderOf, SubmitterOf
from api.body import read_json
from api.documents import BODY, answer, errors, json_body
from api.parsed_body import parsed
from api.parts import Parts, PartsOf
from api.problems import Code, Problem
from api.strict_route import StrictRoute
from api.webhook_presenter import delivery_resource, endpoint_fields, endpoint_resource
from api.webhook_schemas import (
    DeliveryResource,
    EndpointList,
    EndpointRequest,
    EndpointResource,
    NewEndpointResource,
    RotationResource,
)
from shared.clock import rfc3339
from shared.deliveries import Logged
from shared.endpoint import Endpoint
from shared.endpoints import MOST_ENDPOINTS

router = APIRouter(prefix="/v1/webhook_endpoints", tags=["webhooks"], route_class=StrictRoute)


@router.post(
    "",
    operation_id="make_webhook_endpoint",
    status_code=201,
    responses=errors(*BODY, Code.URL_NOT_ALLOWED, Code.TOO_MANY_ENDPOINTS)
    | {
        201: answer(
            "The endpoint, and its secret.",
            "new_endpoint",
            headers=("Location",),
            links={
                "read": ("read_webhook_endpoint", "endpoint_id"),
                "test": ("test_webhook_endpoint", "endpoint_id"),
                "delete": ("delete_webhook_endpoint", "endpoint_id"),
            },
        )
    },
    openapi_extra=json_body(EndpointRequest, "new_endpoint_request"),
    summary="Make an endpoint",
)
async def make(request: Request, response: Response, parts: PartsOf, tenant: SubmitterOf) -> NewEndpointResource:
    """The answer holds its secret, which is never shown again."""
    body = await read_json(request, max_bytes=parts.settings.api.max_body_bytes)
    wish = parsed(EndpointRequest, body)
    parts.receivers.check(wish.url, "#/url")
    endpoint = await parts.endpoints.add(tenant, url=wish.url, description=wish.description)
    if endpoint is None:
        detail = f"You have {MOST_ENDPOINTS} endpoints, which is as many as you may have; delete one first."
        raise Problem(Code.TOO_MANY_ENDPOINTS, detail)
    response.headers["Location"] = f"/v1/webhook_endpoints/{endpoint.id}"
    return NewEndpointResource(**endpoint_fields(endpoint), secret=endpoint.secret.get_secret_value())


@router.get(
    "",
    operation_id="list_webhook_endpoints",
    responses=errors() | {200: answer("All of them: there are 100 at most.", "endpoint_list")},
    summary="List endpoints",
)
async def list_endpoints(parts: PartsOf, tenant: ReaderOf) -> EndpointList:
    """Your endpoints, without their secrets."""
    found = await parts.endpoints.all(tenant)
    return EndpointList(object="list", data=[endpoint_resource(one) for one in found])


@router.get(
    "/{endpoint_id}",
    operation_id="read_webhook_endpoint",
    responses=errors(Code.NOT_FOUND) | {200: answer("The endpoint.", "endpoint")},
    summary="Read an endpoint",
)
async def read(endpoint_id: str, parts: PartsOf, tenant: ReaderOf) -> EndpointResource:
    """Without its secret."""
    return endpoint_resource(await _find(parts, endpoint_id, tenant))


@router.delete(
    "/{endpoint_id}",
    operation_id="delete_webhook_endpoint",
    status_code=204,
    responses=errors(Code.NOT_FOUND) | {204: answer("It is gone.")},
    summary="Delete an endpoint",
)
async def delete(endpoint_id: str, parts: PartsOf, tenant: SubmitterOf) -> Response:
    """Its secrets are gone at once; deliveries that are still to be made to it fail as `endpoint_deleted`."""
    if not await parts.endpoints.remove(tenant, endpoint_id):
        raise _unknown()
    return Response(status_code=204)


@router.post(
    "/{endpoint_id}/rotate",
    operation_id="rotate_webhook_secret",
    responses=errors(Code.NOT_FOUND) | {200: answer("The new secret.", "rotation")},
    summary="Give an endpoint a new secret",
)
async def rotate(endpoint_id: str, parts: PartsOf, tenant: SubmitterOf) -> RotationResource:
    """The answer holds the new secret, which is never shown again; for 24 hours the one before signs, too. The
    endpoint `job_urls` is there for everybody: its secret signs what goes to URLs that jobs name themselves."""
    rotation = await parts.endpoints.rotate(tenant, endpoint_id)
    if rotation is None:
        raise _unknown()
    return RotationResource(
        id=endpoint_id,
        object="webhook_endpoint",
        secret=rotation.secret.get_secret_value(),
        previous_secret_expires_at=rfc3339(rotation.prior_until_ms),
    )


@router.post(
    "/{endpoint_id}/test",
    operation_id="test_webhook_endpoint",
    status_code=202,
    responses=errors(Code.NOT_FOUND, Code.URL_NOT_ALLOWED) | {202: answer("The test is on its way.", "test_delivery")},
    summary="Send an endpoint a test",
)
async def test(endpoint_id: str, parts: PartsOf, tenant: SubmitterOf) -> DeliveryResource:
    """Sends it a `webhook.test`, once; look at the delivery to see what came of it. An endpoint that was disabled is
    enabled again when it answers with 2xx."""
    endpoint = await _find(parts, endpoint_id, tenant)
    if endpoint.for_job_urls:
        raise Problem(
            Code.URL_NOT_ALLOWED,
            "job_urls has no URL of its own to be tested; make an endpoint for the one you mean, and test that.",
        )
    to = parts.receivers.check(endpoint.url, "url")
    delivery_id = await parts.deliveries.test(tenant, endpoint, to.host)
    return delivery_resource(await _filed(parts, delivery_id, tenant))


async def _find(parts: Parts, endpoint_id: str, tenant: str) -> Endpoint:
    endpoint = await parts.endpoints.find(tenant, endpoint_id)
    if endpoint is None:
        raise _unknown()
    return endpoint


async def _filed(parts: Parts, delivery_id: str | None, tenant: str) -> Logged:
    logged = await parts.deliveries.find(tenant, delivery_id) if delivery_id else None
    if logged is None:
        raise _unknown()
    return logged


def _unknown() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no such endpoint.")
