"""Who may ask: an API key and an API version are needed, as for the real API."""

from collections.abc import Mapping
from secrets import token_hex

from local.provider.errors import authentication, invalid_request

REFUSED_KEY = "invalid"
"""The one key that is no good; any other will do."""


def check_access(headers: Mapping[str, str]) -> str:
    """The anthropic-version asked for. Raises ApiError 401 or 400."""
    key = headers.get("x-api-key") or _bearer(headers)
    if not key:
        raise authentication("x-api-key or Authorization header is required")
    if key == REFUSED_KEY:
        raise authentication("invalid x-api-key")
    version = headers.get("anthropic-version")
    if not version:
        raise invalid_request("anthropic-version: header is required")
    return version


def _bearer(headers: Mapping[str, str]) -> str:
    """The key as SDK 2.x sends it; earlier ones and most examples with curl use x-api-key."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def new_request_id() -> str:
    return f"req_{token_hex(12)}"
