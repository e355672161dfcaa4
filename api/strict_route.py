"""An endpoint that ignores nothing: a query parameter that it does not have, or has twice, is a mistake."""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams

from api.problems import FieldError, invalid
from api.schemas import MOST_ERRORS


class StrictRoute(APIRoute):
    """For `APIRouter(route_class=…)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        known = _query_names(self.dependant)

        async def strictly(request: Request) -> Response:
            if request.scope["query_string"]:
                _check(request.query_params, known)
            return await answer(request)

        return strictly


def _query_names(dependant: Dependant) -> set[str]:
    """Those of the endpoint and of all that it depends on."""
    own = {field.alias for field in dependant.query_params}
    return own.union(*map(_query_names, dependant.dependencies))


def _check(given: QueryParams, known: set[str]) -> None:
    counts = Counter(name for name, _ in given.multi_items())
    wrong = [
        FieldError(pointer=f"?{name}", detail="given more than once" if name in known else "there is no such parameter")
        for name, count in counts.items()
        if name not in known or count > 1
    ]
    if wrong:
        raise invalid(*wrong[:MOST_ERRORS])
