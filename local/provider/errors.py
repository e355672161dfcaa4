"""What the provider refuses, in the provider's own words. Source: https://platform.claude.com/docs/en/api/errors"""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """An answer that is no message: HTTP status, error type, message, extra headers, `details.error_code`."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        error_code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.headers = dict(headers or {})
        self.error_code = error_code

    def body(self, request_id: str) -> dict[str, Any]:
        """`{"type": "error", "error": {"type", "message"}, "request_id"}`."""
        error: dict[str, Any] = {"type": self.kind, "message": self.message}
        if self.error_code:
            error["details"] = {"error_code": self.error_code}
        return {"type": "error", "error": error, "request_id": request_id}


def invalid_request(message: str) -> ApiError:
    return ApiError(400, "invalid_request_error", message)


def authentication(message: str) -> ApiError:
    return ApiError(401, "authentication_error", message)


def not_found(message: str) -> ApiError:
    return ApiError(404, "not_found_error", message)


def method_not_allowed() -> ApiError:
    return ApiError(405, "invalid_request_error", "Method Not Allowed")


def request_too_large() -> ApiError:
    return ApiError(413, "request_too_large", "Request exceeds the maximum size")


def rate_limit(message: str, retry_after: int | None) -> ApiError:
    """`retry_after` is in whole seconds; None leaves the header out."""
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return ApiError(429, "rate_limit_error", message, headers=headers)


def spend_limit() -> ApiError:
    """A 429 that no waiting mends, hence no retry-after."""
    message = "You have reached the monthly API usage threshold of your tier."
    return ApiError(429, "rate_limit_error", message, error_code="enforced_spend_limit_reached")


def internal() -> ApiError:
    return ApiError(500, "api_error", "Internal server error")


def overloaded() -> ApiError:
    return ApiError(529, "overloaded_error", "Overloaded")
