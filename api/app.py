"""The application: routes, and every error made a problem document."""

from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.exchange import Exchange, store_unavailable
from api.parts import Parts
from api.problems import FieldError, Problem, from_status, invalid
from api.routes import agents, health, jobs
from shared.errors import StoreUnavailable

_DESCRIPTION = "Submit agent jobs, follow them, take their results. Every error is a problem document with a `code`."


def create_app(parts: Parts) -> FastAPI:
    app = FastAPI(title="Sluice", version="0.1.0", description=_DESCRIPTION, redoc_url=None)
    app.state.parts = parts
    for router in (jobs.router, agents.router, health.router):
        app.include_router(router)
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
            detail=one["msg"],
        )
        for one in cast(RequestValidationError, error).errors()
    ]
    return _answer(request, invalid(*found))


async def _on_http_error(request: Request, error: Exception) -> Response:
    raised = cast(HTTPException, error)
    return _answer(request, from_status(raised.status_code, str(raised.detail), raised.headers))
