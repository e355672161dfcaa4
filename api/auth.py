"""Who is asking: a bearer key becomes a tenant and what the key is good for. Keys are known only by their digests."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from api.problems import Code, Problem
from shared import clock
from shared.keys import DEFAULT_TENANT
from shared.sections import USUAL_SCOPES, Scope, Tenant

KEY_PREFIX = "slc_"
"""How the keys begin that we make, so that scanners for leaked secrets find them."""
_MAY_HOLD_A_KEY = frozenset({"access_token", "api_key", "apikey", "auth", "authorization", "bearer", "key", "token"})


@dataclass(frozen=True, slots=True)
class Caller:
    """The tenant that asks, and what its key is good for."""

    tenant: str
    scopes: frozenset[Scope]

    @property
    def sees_all(self) -> bool:
        """Whether the numbers of all tenants are for it, or its own alone."""
        return Scope.ADMIN in self.scopes


_ANYBODY = Caller(DEFAULT_TENANT, frozenset(Scope))
"""Who asks where no keys are configured."""


@dataclass(frozen=True, slots=True)
class _Known:
    digest: str
    caller: Caller
    expires_at: datetime | None


class Authenticator:
    """With no keys configured everybody is the tenant `default` and may do everything."""

    def __init__(self, tenants: Mapping[str, Tenant]) -> None:
        self._known = [known for name, tenant in tenants.items() for known in _keys_of(name, tenant)]

    def caller(self, authorization: str | None, query: str) -> Caller:
        """Who sends this `Authorization` header and this query string. Raises Problem 401.

        A wrong key takes as long as a right one: it is compared with all there are, each in constant time.
        """
        if not self._known:
            return _ANYBODY
        if _holds_key(query):  # RFC 9700 §4.3.2
            raise _unauthorized(
                "A key does not belong into an address, which is kept in logs and histories: "
                "replace this key, and send the new one as Authorization: Bearer KEY."
            )
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip(" ")
        if scheme.lower() != "bearer" or not key:
            raise _unauthorized("Send your key as Authorization: Bearer KEY.")
        digest = hashlib.sha256(key.encode("latin-1")).hexdigest()  # the bytes as sent: headers are read as latin-1
        found = None
        for known in self._known:
            if hmac.compare_digest(known.digest, digest):
                found = known
        if found is None:
            raise _unauthorized("This key is not known here; check it, or ask whoever runs this service for one.")
        if found.expires_at is not None and found.expires_at <= clock.wall_clock(UTC):
            raise _unauthorized("This key has expired; ask for a new one.")
        return found.caller


def _keys_of(name: str, tenant: Tenant) -> list[_Known]:
    usual = Caller(name, frozenset(USUAL_SCOPES))
    keys = [_Known(digest.removeprefix("sha256:"), usual, None) for digest in tenant.key_digests]
    return keys + [
        _Known(key.digest.removeprefix("sha256:"), Caller(name, frozenset(key.scopes)), key.expires_at)
        for key in tenant.keys.values()
    ]


def _holds_key(query: str) -> bool:
    """By the usual names of such a parameter, or by how our keys begin."""
    return any(
        name.lower() in _MAY_HOLD_A_KEY or value.startswith(KEY_PREFIX)
        for name, value in parse_qsl(query, keep_blank_values=True)
    )


def _unauthorized(detail: str) -> Problem:
    return Problem(Code.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
