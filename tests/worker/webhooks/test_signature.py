"""Signatures, against the library that receivers use, and against the example of the specification's own tests."""

import base64
import json
import os
import re
import shutil
import subprocess
from datetime import UTC
from pathlib import Path

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from shared import clock
from shared.webhook import new_secret
from worker.webhooks.signature import signature

DOCS = Path(__file__).parents[3] / "docs" / "webhooks.md"


def now() -> int:
    return int(clock.wall_clock(UTC).timestamp())


def signed(secrets: list[str], body: bytes) -> dict[str, str]:
    at = now()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": signature([SecretStr(one) for one in secrets], "msg_1", at, body),
    }


def test_the_vector_of_the_library() -> None:
    secret = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("body", [b"{}", '{"ä":"\U0001f680"}'.encode(), json.dumps({"x": "y" * 20_000}).encode()])
def test_the_library_verifies_it(body: bytes) -> None:
    secret = new_secret()
    assert Webhook(secret).verify(body, signed([secret], body)) == json.loads(body)


def test_after_a_rotation_either_secret_verifies_it_and_no_third() -> None:
    new, old, other = new_secret(), new_secret(), new_secret()
    headers = signed([new, old], b"{}")
    for secret in (new, old):
        Webhook(secret).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(b"{}", headers)


def test_what_was_changed_on_the_way_does_not_verify() -> None:
    secret = new_secret()
    headers = signed([secret], b"{}")
    for body, changed in (
        (b"[]", {}),
        (b"{}", {"webhook-id": "msg_2"}),
        (b"{}", {"webhook-timestamp": str(now() - 9)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, headers | changed)


def test_secrets_are_random_and_long_enough() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {len(base64.b64decode(one.removeprefix("whsec_"))) for one in made} == {32}


def test_the_way_by_hand_that_the_docs_tell_verifies_it(tmp_path: Path) -> None:
    (recipe,) = re.findall(r"```bash\n(key=.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    tools = ("bash", "openssl", "od", "base64")
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    secret, body = new_secret(), b'{"output": "\xc3\xa4 $HOME"}'
    (tmp_path / "body").write_bytes(body)
    headers = signed([new_secret(), secret], body)
    given = {"secret": secret} | {name.replace("-", "_"): value for name, value in headers.items()}
    done = subprocess.run(
        ["bash", "-euc", recipe], cwd=tmp_path, env=os.environ | given, capture_output=True, text=True, check=True
    )
    assert f"v1,{done.stdout.strip()}" == headers["webhook-signature"].split(" ")[1]
