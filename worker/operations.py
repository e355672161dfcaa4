"""The worker's own HTTP port: healthz (the process), readyz (Redis and the providers), metrics."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared import metrics
from worker.readiness import ReadinessProbe


def app(probe: ReadinessProbe) -> Starlette:
    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> Response:
        readiness = await probe.look()
        status = "ready" if readiness.ready else "not_ready"
        return JSONResponse({"status": status, "checks": readiness.checks}, 200 if readiness.ready else 503)

    async def exposition(request: Request) -> Response:
        return Response(metrics.generate_latest(metrics.WORK), media_type=metrics.CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", exposition)])
