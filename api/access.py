"""What a route asks of its caller's key. Every route under /v1 names one of these as a parameter:

- `SubmitterOf`, the tenant of a key that may submit: for all that changes something of its own;
- `ReaderOf`, the tenant of a key that may read: for all that reads something of its own;
- `ObserverOf`, a `Caller` that may read or administer: for numbers, of all tenants if it `sees_all`, else of its own.
"""

from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from api.auth import Caller
from api.parts import parts_of
from api.problems import Code, Problem
from shared.sections import Scope


class Needs(SecurityBase):
    """A dependency: lets a caller pass whose key has one of these scopes."""

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = scopes
        self.scheme_name = "key"
        self.model = HTTPBearer(
            description="A tenant's key. `submit` changes what is the tenant's own, `read` reads it; `admin` reads the "
            "numbers of all tenants, wherever `read` reads those of one."
        )

    def caller(self, request: Request) -> Caller:
        """Raises Problem 401 or 403."""
        authorization, query = request.headers.get("authorization"), request.scope["query_string"].decode("latin-1")
        caller = parts_of(request).authenticator.caller(authorization, query)
        if caller.scopes.isdisjoint(self.scopes):
            raise self._forbidden(caller)
        return caller

    def _forbidden(self, caller: Caller) -> Problem:
        needed, has = " or ".join(self.scopes), " and ".join(sorted(caller.scopes))
        return Problem(
            Code.INSUFFICIENT_SCOPE,
            f"This key is good for {has}, and this takes one that is good for {needed}: use another key of yours, or "
            "ask whoever runs this service for one (scopes in [tenants.NAME.keys.NAME]).",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{self.scopes[0]}"'},  # RFC 6750 §3
        )


class _NeedsTenant(Needs):
    async def __call__(self, request: Request) -> str:
        return self.caller(request).tenant


class _NeedsCaller(Needs):
    async def __call__(self, request: Request) -> Caller:
        return self.caller(request)


def _asks(needs: _NeedsTenant | _NeedsCaller) -> Any:
    return Security(needs, scopes=needs.scopes[:1])


SubmitterOf = Annotated[str, _asks(_NeedsTenant(Scope.SUBMIT))]
ReaderOf = Annotated[str, _asks(_NeedsTenant(Scope.READ))]
ObserverOf = Annotated[Caller, _asks(_NeedsCaller(Scope.READ, Scope.ADMIN))]
