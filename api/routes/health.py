"""`/healthz`, `/readyz`, `/metrics`: for whoever runs this. No key is needed."""

from fastapi import APIRouter
from pydantic_core import to_json
from starlette.responses import Response

from api import chain_report, schemas
from api.documents import answer
from api.parts import PartsOf
from shared import metrics
from shared.errors import StoreUnavailable
from shared.redis_client import ping, reachable

router = APIRouter(tags=["operations"])

_METRICS = {"text/plain": {"schema": {"type": "string"}, "example": "sluice_queue_waiting_jobs 42.0\n"}}
_SCRAPE_SECONDS = 2.0
"""For all that is read from Redis; a scrape that hangs would cost the api's own metrics, too."""


@router.get(
    "/healthz",
    operation_id="healthz",
    responses={200: answer("It is.", "alive")},
    summary="Is the process alive",
)
async def healthz() -> schemas.Health:
    """Says nothing about Redis; for that ask `/readyz`."""
    return schemas.Health(status="ok")


@router.get(
    "/readyz",
    operation_id="readyz",
    response_model=schemas.Health,
    responses={
        200: answer("It can.", "ready"),
        503: answer(
            "It cannot: Redis does not answer, or the process is about to stop.",
            "not_ready",
            model=schemas.Health,
        ),
    },
    summary="Can it take jobs",
)
async def readyz(parts: PartsOf) -> Response:
    """By Redis alone: while a provider is down jobs are still taken, parked and shed."""
    checks = {"redis": "ok"} | ({"process": "draining"} if parts.draining else {})
    try:
        await ping(parts.redis)
    except StoreUnavailable as error:
        checks["redis"] = str(error)
    ready = set(checks.values()) == {"ok"}
    body = {"status": "ready" if ready else "not_ready", "checks": checks}
    return Response(to_json(body), 200 if ready else 503, media_type="application/json")


@router.get(
    "/metrics",
    operation_id="metrics",
    responses={200: {"description": "The text format of Prometheus.", "content": _METRICS}},
    summary="Prometheus metrics",
    response_class=Response,
)
async def exposition(parts: PartsOf) -> Response:
    """The queue, the gate and the chains are the whole service's, so every api shows the same: take the `max` over
    them, not the `sum`. While Redis is away the queue's gauges are NaN and the others are absent."""
    try:
        async with reachable(_SCRAPE_SECONDS):
            pace = await parts.inspector.pace()
            pools = {name: await parts.gate_inspector.look(pool) for name, (pool, _) in parts.pools.items()}
            chains = await chain_report.chains(parts)
        metrics.QUEUE_WAITING.set(pace.waiting)
        metrics.QUEUE_RUNNING.set(pace.running)
        metrics.QUEUE_SLOTS.set(pace.slots)
        metrics.QUEUE_DRAIN.set(pace.drain_rate)
    except StoreUnavailable:
        for gauge in (metrics.QUEUE_WAITING, metrics.QUEUE_RUNNING, metrics.QUEUE_SLOTS, metrics.QUEUE_DRAIN):
            gauge.set(float("nan"))
        pools, chains = {}, []
    metrics.GATE.tell(pools)
    chain_report.measure(chains)
    return Response(metrics.generate_latest(metrics.INGRESS), media_type=metrics.CONTENT_TYPE_LATEST)
