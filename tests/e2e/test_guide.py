"""The guide on top of `/docs`: its commands do what it says, in its order, by curl and by what stands in for it."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook as Signer

from api.guide import guide
from local.provider_process import ProviderProcess
from tests.prompts import scripted
from tests.stack import Stack
from tests.typed import with_stand_in

DELETION = {"tools": [{"name": "delete_invoice", "input": {"number": "2026-001"}}]}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", guide(), re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Every curl, with its lines in one."""
    return [line for block in blocks("bash") for line in block.replace("\\\n", " ").splitlines()]


@pytest.fixture(params=["curl", "stand-in"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """On which `curl` is the real one, or what stands in for it."""
    if request.param == "stand-in":
        return with_stand_in(tmp_path)
    if shutil.which("curl") is None:
        pytest.skip("needs curl; the stand-in sends the same all the same")
    return os.environ["PATH"]


def send(command: str, variables: dict[str, str]) -> httpx2.Response:
    """What the command prints in a shell, with the head of the answer."""
    whole = command.replace("curl ", "curl -sS -i ", 1)
    done = subprocess.run(["sh", "-euc", whole], env=variables, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    fields = [tuple(line.split(": ", 1)) for line in lines if not line.startswith("transfer-encoding")]
    return httpx2.Response(int(status.split()[1]), headers=fields, content=body)


def test_the_six_steps(running: Stack, simulated: ProviderProcess, path: str) -> None:
    running.finished(running.submit("assistant", "The workers are there."))
    submit, wait, follow, cancel, make_endpoint, inbox, decide = commands()
    known = {"PATH": path, "URL": running.api.url, "KEY": "any"}
    key = f"order-{datetime.now(UTC).timestamp()}"
    assert "order-17" in submit

    first, again = [send(submit.replace("order-17", key), known) for _ in range(2)]
    job = first.json()
    assert first.status_code == again.status_code == 202
    assert first.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (job["id"], "true")
    known["JOB"] = job["id"]

    changed = send(wait, known)
    assert changed.status_code == 200
    assert changed.json()["revision"] > 1
    assert changed.headers["etag"] == f'W/"{changed.json()["revision"]}"'

    stream = send(follow, known)
    assert stream.status_code == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert re.findall(r"^event: (job\..*)$", stream.text, re.MULTILINE) == [
        "job.queued",
        "job.running",
        "job.succeeded",
    ]

    for _ in range(2):
        cancelled = send(cancel, known)
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "succeeded")

    endpoint = send(make_endpoint, known)
    assert endpoint.status_code == 201
    assert endpoint.json()["secret"].startswith("whsec_")
    running.http.delete(endpoint.headers["location"])

    known["JOB"] = running.submit("invoices", scripted(turns=[DELETION, {"text": "It is gone."}]))
    (action,) = running.asked(known["JOB"])
    listed = send(inbox, known)
    assert listed.status_code == 200
    assert action["id"] in [one["id"] for one in listed.json()["data"]]
    known["ACTION"] = action["id"]
    decided = send(decide, known)
    assert (decided.status_code, decided.json()["decision"]) == (200, "approve")
    assert running.finished(known["JOB"])["output"] == "It is gone."


def test_the_check_of_a_webhook() -> None:
    (program,) = blocks("python")
    assert "whsec_…" in program
    secret, body, now = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", '{"type": "job.succeeded"}', datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(secret).sign("msg_1", now, body),
    }
    names: dict[str, Any] = {"body": body.encode(), "headers": headers}
    exec(program.replace("whsec_…", secret), names)  # noqa: S102  (it is ours)
    assert names["event"] == {"type": "job.succeeded"}
    names["body"] += b" "
    with pytest.raises(Exception, match="signature"):
        exec(program.replace("whsec_…", secret), names)  # noqa: S102
