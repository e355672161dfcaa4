"""How an endpoint is called: it ignores no query parameter, and what it depends on is found quickly.

FastAPI's own way of solving dependencies works for any of them, and takes longer than all the rest of a submit. Where
an endpoint needs nothing but the request, headers and what is made of these, `_solve` does the same in a few lines.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams

from api.parsed_body import MOST_ERRORS
from api.problems import FieldError, invalid

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """For `APIRouter(route_class=…)`. A parameter that the endpoint does not have, or that is given twice, is 422."""

    def get_route_handler(self) -> Handler:
        answer = self._quick_handler() if self._is_simple() else super().get_route_handler()
        known = _query_names(self.dependant)

        async def strictly(request: Request) -> Response:
            if request.scope["query_string"] and (wrong := _wrong(request.query_params, known)):
                for one in filter(_is_simple, self.dependant.dependencies):
                    await _solve(one, request)  # who may not ask at all is told that, and no more
                raise invalid(*wrong[:MOST_ERRORS])
            return await answer(request)

        return strictly

    def _is_simple(self) -> bool:
        return inspect.signature(self.endpoint).return_annotation is Response and _is_simple(self.dependant)

    def _quick_handler(self) -> Handler:
        async def quickly(request: Request) -> Response:
            response: Response = await _solve(self.dependant, request)
            return response

        return quickly


def _is_simple(needed: Dependant) -> bool:
    """Whether `_solve` can do it: headers that are optional texts, and no other parameters."""
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


async def _solve(needed: Dependant, request: Request) -> Any:
    values: dict[str, Any] = {one.name: request.headers.get(one.alias) for one in needed.header_params}
    if needed.request_param_name:
        values[needed.request_param_name] = request
    for one in needed.dependencies:
        values[one.name or ""] = await _solve(one, request)
    return await needed.call(**values)  # type: ignore[misc]  # _is_simple has seen that it can be awaited


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
