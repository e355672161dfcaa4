"""The routes: the Messages API under /v1, and what tests and demo steer it with under /_sim."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.provider.access import check_access, new_request_id
from local.provider.connection import read_json
from local.provider.errors import ApiError, invalid_request, method_not_allowed, not_found
from local.provider.faults import GlobalFault
from local.provider.limits import ForeignUse, LimitsChange
from local.provider.messages import parse_for_count
from local.provider.messages_endpoint import MessagesEndpoint
from local.provider.models import describe
from local.provider.state import State
from local.provider.tokens import tokens_of_characters

Body = TypeVar("Body", bound=BaseModel)


def build_app(state: State) -> Starlette:
    """The ASGI application. Its server must use CuttableProtocol, for the faults that cut connections."""
    routes = _Routes(state)
    return Starlette(
        routes=[
            Route("/v1/messages", MessagesEndpoint(state), methods=["POST"]),
            Route("/v1/messages/count_tokens", routes.count_tokens, methods=["POST"]),
            Route("/v1/models", routes.list_models),
            Route("/v1/models/{id}", routes.get_model),
            Route("/_sim/calls", routes.calls),
            Route("/_sim/stats", routes.stats),
            Route("/_sim/books", routes.books),
            Route("/_sim/faults", routes.set_fault, methods=["POST"]),
            Route("/_sim/limits", routes.change_limits, methods=["POST"]),
            Route("/_sim/foreign", routes.let_in, methods=["POST"]),
            Route("/_sim/reset", routes.reset, methods=["POST"]),
        ],
        exception_handlers={ApiError: _api_error, HTTPException: _no_route},
    )


class _Routes:
    def __init__(self, state: State) -> None:
        self._state = state

    async def count_tokens(self, request: Request) -> Response:
        check_access(request.headers)
        counted = parse_for_count(await read_json(request.receive), self._state.models)
        return _json({"input_tokens": tokens_of_characters(counted.characters)})

    async def list_models(self, request: Request) -> Response:
        check_access(request.headers)
        data = [describe(model) for model in self._state.models.values()]
        return _json({"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]})

    async def get_model(self, request: Request) -> Response:
        check_access(request.headers)
        model = self._state.models.get(request.path_params["id"])
        if model is None:
            raise not_found(f"model: {request.path_params['id']}")
        return _json(describe(model))

    async def calls(self, request: Request) -> Response:
        return _json({"calls": self._state.ledger.calls()})

    async def stats(self, request: Request) -> Response:
        return _json(self._state.ledger.stats())

    async def books(self, request: Request) -> Response:
        return _json(self._state.books())

    async def set_fault(self, request: Request) -> Response:
        fault = await _body(request, GlobalFault)
        self._state.faults.set(fault)
        return _json(fault.model_dump())

    async def change_limits(self, request: Request) -> Response:
        change = await _body(request, LimitsChange)
        self._state.change_limits(change)
        return _json(change.model_dump())

    async def let_in(self, request: Request) -> Response:
        foreign = await _body(request, ForeignUse)
        self._state.let_in(foreign)
        return _json(foreign.model_dump())

    async def reset(self, request: Request) -> Response:
        self._state.reset()
        return _json({"reset": True})


async def _body(request: Request, kind: type[Body]) -> Body:
    """Raises ApiError 400 that names every mistake."""
    try:
        return kind.model_validate(await read_json(request.receive))
    except ValidationError as error:
        raise invalid_request(_explain(error)) from None


def _json(content: object) -> Response:
    return JSONResponse(content, headers={"request-id": new_request_id()})


def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for nothing else
    request_id = new_request_id()
    return JSONResponse(
        error.body(request_id), status_code=error.status, headers={"request-id": request_id, **error.headers}
    )


def _no_route(request: Request, error: Exception) -> Response:
    wrong_method = isinstance(error, HTTPException) and error.status_code == 405
    return _api_error(request, method_not_allowed() if wrong_method else not_found("Not Found"))


def _explain(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in error.errors())
