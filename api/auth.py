"""Who is asking: a bearer key becomes a tenant. Keys are known only by their SHA-256 digests."""

import hashlib
import hmac
from collections.abc import Mapping

from api.problems import Code, Problem
from shared.keys import DEFAULT_TENANT
from shared.sections import Tenant


class Authenticator:
    """With no keys configured everybody is the tenant `default`."""

    def __init__(self, tenants: Mapping[str, Tenant]) -> None:
        self._digests = [
            (digest.removeprefix("sha256:"), name) for name, tenant in tenants.items() for digest in tenant.key_digests
        ]

    def tenant(self, authorization: str | None) -> str:
        """The tenant of an `Authorization` header. Raises Problem 401; a wrong key takes as long as a right one."""
        if not self._digests:
            return DEFAULT_TENANT
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip(" ")
        if scheme.lower() != "bearer" or not key:
            raise _unauthorized("Send your key as Authorization: Bearer KEY.")
        digest = hashlib.sha256(key.encode("latin-1")).hexdigest()  # the bytes as sent: headers are read as latin-1
        found = None
        for known, name in self._digests:
            if hmac.compare_digest(known, digest):
                found = name
        if found is None:
            raise _unauthorized("This key is not known here.")
        return found


def _unauthorized(detail: str) -> Problem:
    return Problem(Code.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
