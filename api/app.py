"""The application: routes, and every error made a problem document."""

from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from api.exchange import Exchange, store_unavailable
from api.guide import TAGS, guide
from api.openapi import completed
from api.parsed_body import sentence
from api.parts import Parts
from api.problems import FieldError, Problem, from_status, invalid
from api.routes import (
    actions,
    agents,
    batches,
    docs,
    events,
    forks,
    health,
    job_list,
    jobs,
    limits,
    messages,
    queue,
    sessions,
    turns,
    webhook_deliveries,
    webhook_endpoints,
    workers,
)
from shared.errors import StoreUnavailable

ROUTERS = (
    jobs.router,
    job_list.router,
    events.router,
    batches.router,
    turns.router,
    messages.router,
    forks.router,
    sessions.router,
    actions.router,
    agents.router,
    queue.router,
    limits.router,
    workers.router,
    webhook_endpoints.router,
    webhook_deliveries.router,
    health.router,
    docs.router,
)
_ROUTES = [route for router in ROUTERS for route in router.routes]
"""As they are: what a router adds that is included, which here is nothing, FastAPI works out anew for each request."""


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = completed(super().openapi())
        return self.openapi_schema


def create_app(parts: Parts) -> FastAPI:
    # No redirects to the address without a slash: behind a proxy they would name this server's own scheme and host.
    app = _Application(
        title="Sluice",
        summary="A job queue for LLM agents.",
        version="0.1.0",
        description=guide(),
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_tags=TAGS,
        docs_url=None,  # those of FastAPI are loaded from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        routes=_ROUTES,
    )
    app.state.parts = parts
    app.add_middleware(Exchange)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(StoreUnavailable, _on_store_unavailable)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    return app


def _answer(request: Request, problem: Problem) -> Response:
    return problem.response(instance=request.url.path, request_id=request.state.request_id)


async def _on_problem(request: Request, error: Exception) -> Response:
    return _answer(request, cast(Problem, error))


async def _on_store_unavailable(request: Request, error: Exception) -> Response:
    return _answer(request, store_unavailable())


async def _on_invalid(request: Request, error: Exception) -> Response:
    found = [
        FieldError(
            pointer=f"?{one['loc'][-1]}" if one["loc"][0] == "query" else str(one["loc"][-1]),
            detail=sentence(one, []),
        )
        for one in cast(RequestValidationError, error).errors()
    ]
    return _answer(request, invalid(*found))


async def _on_http_error(request: Request, error: Exception) -> Response:
    raised = cast(HTTPException, error)
    headers = dict(raised.headers or {})
    if raised.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request)) or headers["Allow"]
    return _answer(request, from_status(raised.status_code, str(raised.detail), headers))


def _methods(request: Request) -> list[str]:
    """All that this address takes: the router only knows those of the first endpoint there."""
    here = [route for route in _ROUTES if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE]
    return sorted({method for route in here for method in route.methods or ()})
