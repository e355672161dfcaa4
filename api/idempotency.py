"""The header `Idempotency-Key`: what it may be, and that there is one at most."""

import re
from typing import Annotated

from fastapi import Header, Request

from api.problems import FieldError, invalid
from api.schemas import KEY_PATTERN

KEY_HEADER = "Idempotency-Key"
_KEY = re.compile(KEY_PATTERN)

KeyHeader = Annotated[
    str | None,
    Header(
        alias=KEY_HEADER,
        description="However often the request is repeated with it, it counts once. 1-255 of A-Z a-z 0-9 _ . : -",
        json_schema_extra={"pattern": KEY_PATTERN},
        examples=["order-17"],
    ),
]
"""The parameter of an endpoint; to be checked with `key_of`."""


def key_of(request: Request, given: str | None) -> str | None:
    """The key that came as `given`. Raises Problem 422 when there are two, or it cannot be one."""
    if given is not None and len(request.headers.getlist(KEY_HEADER)) > 1:
        raise invalid(FieldError(pointer=KEY_HEADER, detail="is given more than once"))
    check_key(given)
    return given


def check_key(given: str | None) -> None:
    """Raises Problem 422."""
    if given is not None and not _KEY.fullmatch(given):
        raise invalid(FieldError(pointer=KEY_HEADER, detail="use 1 to 255 letters, digits and _ . : -"))
