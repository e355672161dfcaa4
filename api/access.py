"""What a route asks of its caller's key. Every route under /v1 names one of these as a parameter:

- `SubmitterOf`, the tenant of a key that may submit: for all that changes something of its own;
- `ReaderOf`, the tenant of a key that may read: for all that reads something of its own;
- `ObserverOf`, a `Caller` that may read or administer: for numbers, of all tenants if it `sees_all`, else of its own.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from api.auth import Caller
from api.parts import PartsOf
from api.problems import Code, Problem
from shared.sections import Scope


class Needs(SecurityBase):
    """A dependency: lets a caller pass whose key has one of these scopes. Raises Problem 401 or 403."""

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = scopes
        self.scheme_name = "key"
        self.model = HTTPBearer(
            description="A tenant's key. `submit` changes what is the tenant's own, `read` reads it; `admin` reads the "
            "numbers of all tenants, wherever `read` reads those of one."
        )

    async def __call__(self, request: Request, parts: PartsOf) -> Caller:
        caller = parts.authenticator.caller(
            request.headers.get("authorization"), request.scope["query_string"].decode("latin-1")
        )
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


def _tenant_by(needs: Needs) -> Callable[[Caller], Awaitable[str]]:
    async def tenant(caller: Annotated[Caller, Security(needs, scopes=needs.scopes[:1])]) -> str:
        return caller.tenant

    return tenant


_OBSERVE = Needs(Scope.READ, Scope.ADMIN)

SubmitterOf = Annotated[str, Depends(_tenant_by(Needs(Scope.SUBMIT)))]
ReaderOf = Annotated[str, Depends(_tenant_by(Needs(Scope.READ)))]
ObserverOf = Annotated[Caller, Security(_OBSERVE, scopes=_OBSERVE.scopes[:1])]
