"""`/healthz`, `/readyz`, `/metrics`: for whoever runs this. No key is needed."""

from fastapi import APIRouter
from pydantic_core import to_json
from starlette.responses import Response

from api import schemas
from api.parts import PartsOf
from shared import metrics
from shared.errors import StoreUnavailable
from shared.redis_client import ping

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Is the process alive")
async def healthz() -> schemas.Health:
    return schemas.Health(status="ok")


@router.get(
    "/readyz",
    response_model=schemas.Health,
    responses={503: {"model": schemas.Health, "description": "Not ready."}},
    summary="Can it take jobs",
)
async def readyz(parts: PartsOf) -> Response:
    """By Redis alone: while a provider is down jobs are still taken, parked and shed."""
    problem = "draining" if parts.draining else "ok"
    try:
        await ping(parts.redis)
    except StoreUnavailable as error:
        problem = str(error)
    ready = problem == "ok"
    body = {"status": "ready" if ready else "not_ready", "checks": {"redis": problem}}
    return Response(to_json(body), 200 if ready else 503, media_type="application/json")


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def exposition(parts: PartsOf) -> Response:
    try:
        pace = await parts.inspector.pace()
        metrics.QUEUE_WAITING.set(pace.waiting)
        metrics.QUEUE_RUNNING.set(pace.running)
        metrics.QUEUE_SLOTS.set(pace.slots)
        metrics.QUEUE_DRAIN.set(pace.drain_rate)
    except StoreUnavailable:
        for gauge in (metrics.QUEUE_WAITING, metrics.QUEUE_RUNNING, metrics.QUEUE_SLOTS, metrics.QUEUE_DRAIN):
            gauge.set(float("nan"))
    return Response(metrics.generate_latest(metrics.INGRESS), media_type=metrics.CONTENT_TYPE_LATEST)
