"""How an endpoint is called: it ignores no query parameter, and what it depends on is found quickly.

FastAPI's own way of solving dependencies works for any of them, and takes longer than all the rest of a submit. Where
an endpoint needs nothing but the request, headers and what is made of these, `_solver` does the same in a few lines.
Nor does such an endpoint leave anything to be closed after the answer, or need its errors caught here: the application
catches them.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from api.parsed_body import MOST_ERRORS
from api.problems import FieldError, invalid

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """For `APIRouter(route_class=…)`. A parameter that the endpoint does not have, or that is given twice, is 422."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self._is_simple():
            self.app = _quick_app(self.get_route_handler())

    def get_route_handler(self) -> Handler:
        answer = _solver(self.dependant) if self._is_simple() else super().get_route_handler()
        checks = [_solver(one) for one in self.dependant.dependencies if _is_simple(one)]
        known = _query_names(self.dependant)

        async def strictly(request: Request) -> Response:
            if request.scope["query_string"] and (wrong := _wrong(request.query_params, known)):
                for check in checks:
                    await check(request)  # who may not ask at all is told that, and no more
                raise invalid(*wrong[:MOST_ERRORS])
            return await answer(request)

        return strictly

    def _is_simple(self) -> bool:
        return inspect.signature(self.endpoint).return_annotation is Response and _is_simple(self.dependant)


def _quick_app(answer: Handler) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await answer(Request(scope, receive, send))
        await response(scope, receive, send)

    return app


def _is_simple(needed: Dependant) -> bool:
    """Whether `_solver` can do it: headers that are optional texts, and no other parameters."""
    others = (
        needed.path_params,
        needed.query_params,
        needed.cookie_params,
        needed.body_params,
        needed.http_connection_param_name,
        needed.websocket_param_name,
        needed.response_param_name,
        needed.background_tasks_param_name,
        needed.security_scopes_param_name,
    )
    call = needed.call if inspect.isroutine(needed.call) else getattr(needed.call, "__call__", None)  # noqa: B004
    return (
        not any(others)
        and inspect.iscoroutinefunction(call)
        and all(one.field_info.annotation == str | None and one.default is None for one in needed.header_params)
        and all(map(_is_simple, needed.dependencies))
    )


def _solver(needed: Dependant) -> Callable[[Request], Coroutine[Any, Any, Any]]:
    """What calls a dependency, or an endpoint, with what it needs of a request."""
    call: Any = needed.call
    headers = [(one.name, one.alias) for one in needed.header_params]
    dependencies = [(one.name or "", _solver(one)) for one in needed.dependencies]
    name_of_request = needed.request_param_name

    async def solve(request: Request) -> Any:
        given = request.headers
        values: dict[str, Any] = {name: given.get(alias) for name, alias in headers}
        if name_of_request:
            values[name_of_request] = request
        for name, solve_one in dependencies:
            values[name] = await solve_one(request)
        return await call(**values)

    return solve


def _query_names(needed: Dependant) -> set[str]:
    """Those of the endpoint and of all that it depends on."""
    own = {field.alias for field in needed.query_params}
    return own.union(*map(_query_names, needed.dependencies))


def _wrong(given: QueryParams, known: set[str]) -> list[FieldError]:
    counts = Counter(name for name, _ in given.multi_items())
    return [
        FieldError(pointer=f"?{name}", detail="given more than once" if name in known else "there is no such parameter")
        for name, count in counts.items()
        if name not in known or count > 1
    ]
