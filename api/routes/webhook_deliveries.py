"""`/v1/webhook_deliveries`: what was sent to whom, what came of it, and once more."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.access import ReaderOf, SubmitterOf
from api.cursors import check_cursors
from api.documents import answer, errors
from api.parts import Parts, PartsOf
from api.problems import Code, Problem
from api.strict_route import StrictRoute
from api.webhook_presenter import delivery_resource
from api.webhook_schemas import DeliveryList, DeliveryResource
from shared.deliveries import Logged

router = APIRouter(prefix="/v1/webhook_deliveries", tags=["webhooks"], route_class=StrictRoute)


@router.get(
    "",
    operation_id="list_webhook_deliveries",
    responses=errors(Code.BAD_CURSOR) | {200: answer("The page.", "delivery_list")},
    summary="List deliveries",
)
async def list_deliveries(
    parts: PartsOf,
    tenant: ReaderOf,
    job_id: Annotated[str | None, Query(max_length=64, description="Only those of this job")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[
        str | None,
        Query(max_length=128, description="The last_id of the page before", json_schema_extra={"pattern": "^msg_"}),
    ] = None,
) -> DeliveryList:
    """Those of the newest jobs first. They are kept as long as their jobs, and for a day at least after their end."""
    check_cursors(lambda cursor: cursor.startswith("msg_"), "a delivery", after)
    page, has_more = await parts.deliveries.page(tenant, job_id=job_id, limit=limit, after=after)
    ids = [logged.delivery.id for logged in page]
    return DeliveryList(
        object="list",
        data=[delivery_resource(logged) for logged in page],
        has_more=has_more,
        first_id=ids[0] if ids else None,
        last_id=ids[-1] if ids else None,
    )


@router.get(
    "/{delivery_id}",
    operation_id="read_webhook_delivery",
    responses=errors(Code.NOT_FOUND) | {200: answer("The delivery, with every attempt.", "delivered")},
    summary="Read a delivery",
)
async def read(delivery_id: str, parts: PartsOf, tenant: ReaderOf) -> DeliveryResource:
    """What was sent when, and what came of it."""
    return delivery_resource(await _find(parts, delivery_id, tenant))


@router.post(
    "/{delivery_id}/replay",
    operation_id="replay_webhook_delivery",
    status_code=202,
    responses=errors(Code.NOT_FOUND) | {202: answer("It is sent again.", "pending_delivery")},
    summary="Send a delivery again",
)
async def replay(delivery_id: str, parts: PartsOf, tenant: SubmitterOf) -> DeliveryResource:
    """Under the same `webhook-id`, now, with all attempts before it. One that is just being sent is left alone."""
    if not await parts.deliveries.replay(tenant, delivery_id):
        raise _unknown()
    return delivery_resource(await _find(parts, delivery_id, tenant))


async def _find(parts: Parts, delivery_id: str, tenant: str) -> Logged:
    logged = await parts.deliveries.find(tenant, delivery_id)
    if logged is None:
        raise _unknown()
    return logged


def _unknown() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no such delivery; it may have been removed after its retention.")
