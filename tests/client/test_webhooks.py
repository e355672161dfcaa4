"""Webhooks: what the official library signs is taken, what we sign the library takes, and nothing else passes."""

import base64
import json
import os
import time
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from client.sluice_client import InvalidWebhook, verify_webhook
from shared.webhook import new_secret
from worker.webhooks.signature import signature

BODY = json.dumps({"type": "job.succeeded", "timestamp": "2026-01-31T12:00:00.000Z", "data": {"output": "Grüße"}})
EVENT = json.loads(BODY)


def signed(*secrets: str, body: str = BODY, ago: int = 0, message: str = "msg_1") -> dict[str, str]:
    """Headers as the official library makes them, a signature for each secret."""
    at = datetime.fromtimestamp(int(time.time()) - ago, UTC)
    made = [Webhook(one).sign(message, at, body) for one in secrets]
    return {
        "Webhook-Id": message,
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": " ".join(made),
    }


def test_what_the_library_signs_is_taken() -> None:
    secret = new_secret()
    assert verify_webhook(BODY.encode(), signed(secret), secret) == EVENT | {"id": "msg_1"}


def test_what_a_worker_signs_is_taken_by_both() -> None:
    secret, at = new_secret(), int(time.time())
    made = signature([SecretStr(secret)], "msg_1", at, BODY.encode())
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": made}
    assert verify_webhook(BODY.encode(), headers, [secret]) == EVENT | {"id": "msg_1"}
    assert Webhook(secret).verify(BODY.encode(), headers) == EVENT


def test_a_rotation_on_either_side() -> None:
    old, new, other = new_secret(), new_secret(), new_secret()
    for headers, secrets in (
        (signed(new, old), old),
        (signed(new, old), [new]),
        (signed(old), (new, old)),
        (signed(new), iter([new, old])),
    ):
        assert verify_webhook(BODY.encode(), headers, secrets)["type"] == "job.succeeded"
    for headers, secrets in ((signed(new, old), [other]), (signed(other), [new, old]), (signed(new), [])):
        with pytest.raises(InvalidWebhook, match="signature"):
            verify_webhook(BODY.encode(), headers, secrets)


def test_its_age_is_looked_at_in_both_directions() -> None:
    secret = new_secret()
    for ago in (-250, 250):
        verify_webhook(BODY.encode(), signed(secret, ago=ago), secret)
    for ago in (-400, 400):
        headers = signed(secret, ago=ago)
        with pytest.raises(InvalidWebhook, match="timestamp"):
            verify_webhook(BODY.encode(), headers, secret)
        verify_webhook(BODY.encode(), headers, secret, tolerance=1000)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": str(int(time.time()) - 20)},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "-5"},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": "٣"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,ключ"},
        {"webhook-signature": "v1,\udcff"},
        {"webhook-id": "\udcff"},
        {"webhook-signature": "v1a,AAAA v2,AAAA ,"},
    ],
)
def test_what_was_made_up_is_refused_by_both(changed: dict[str, str]) -> None:
    secret = new_secret()
    headers = {name.lower(): value for name, value in signed(secret).items()} | changed
    with pytest.raises(InvalidWebhook):
        verify_webhook(BODY.encode(), headers, secret)
    with pytest.raises((WebhookVerificationError, ValueError)):
        Webhook(secret).verify(BODY.encode(), headers)


@pytest.mark.parametrize("missing", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_a_missing_header_is_named(missing: str) -> None:
    secret = new_secret()
    headers = {name: value for name, value in signed(secret).items() if name != missing}
    with pytest.raises(InvalidWebhook, match=missing.lower()):
        verify_webhook(BODY.encode(), headers, secret)


@pytest.mark.parametrize("body", [b"", b"{}", BODY.encode()[:-1], BODY.encode() + b"\n", b"\xff"])
def test_another_body_is_refused(body: bytes) -> None:
    secret = new_secret()
    with pytest.raises(InvalidWebhook, match="signature"):
        verify_webhook(body, signed(secret), secret)


@pytest.mark.parametrize("body", ["", "[]", "7", "not JSON", '"text"'])
def test_what_is_signed_and_no_event_is_refused(body: str) -> None:
    secret = new_secret()
    with pytest.raises(InvalidWebhook, match="not an event"):
        verify_webhook(body.encode(), signed(secret, body=body), secret)


def test_secrets_with_and_without_prefix_and_padding() -> None:
    plain = base64.b64encode(os.urandom(25)).decode()
    for secret in (f"whsec_{plain}", plain, plain.rstrip("=")):
        verify_webhook(BODY.encode(), signed(plain), secret)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64!", "whsec_a", "ключ"])
def test_what_is_no_secret_is_an_error_that_does_not_show_it(secret: str) -> None:
    with pytest.raises(ValueError, match="base64") as caught:
        verify_webhook(BODY.encode(), signed(new_secret()), [new_secret(), secret])
    assert not secret.removeprefix("whsec_") or secret not in str(caught.value)
