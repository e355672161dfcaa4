"""Signatures as Standard Webhooks wants them (https://www.standardwebhooks.com, symmetric scheme, `v1`)."""

import base64
import hashlib
import hmac
from collections.abc import Iterable

from pydantic import SecretStr

from shared.webhook import SECRET_PREFIX


def signature(secrets: Iterable[SecretStr], message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one `v1,<base64>` per secret, the newest first. `timestamp` is in seconds."""
    content = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(_v1(secret, content) for secret in secrets)


def _v1(secret: SecretStr, content: bytes) -> str:
    key = base64.b64decode(secret.get_secret_value().removeprefix(SECRET_PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
