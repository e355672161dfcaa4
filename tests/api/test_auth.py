"""Keys: nobody without one, nobody with a wrong one, and no tenant sees another's jobs."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceProcess
from shared.redis_client import Redis
from tests.api.talk import WORK, announce, client, digest, job_of, problem, tracebacks, waiting
from tests.forked import ForkedService

ROOT = Path(__file__).parent.parent.parent
ACME, ACME_NEW, GLOBEX, CYRILLIC = "acme-key-1", "acme-key-2", "Globex.key~2+/=", "ключ-à"
TENANTS = f"""
[tenants.acme]
key_digests = ["{digest(ACME)}", "{digest(ACME_NEW)}"]
[tenants.globex]
key_digests = ["{digest(GLOBEX)}", "{digest(CYRILLIC)}"]
[tenants.without-a-key]
"""
NO_JOB = "/v1/jobs/job_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"
GUARDED = [
    ("POST", "/v1/jobs"),
    ("GET", "/v1/jobs"),
    ("GET", NO_JOB),
    ("POST", f"{NO_JOB}/cancel"),
    ("GET", "/v1/agents"),
]


@pytest.fixture(scope="module")
def guarded_api(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    path = tmp_path_factory.mktemp("auth") / "sluice.toml"
    path.write_text(TENANTS)
    settings = {
        "REDIS_URL": redis_server.url,
        "SLUICE_API__PORT": "0",
        "SLUICE_API__HOST": "0.0.0.0",  # noqa: S104
        "SLUICE_CONFIG": str(path),
    }
    with ForkedService("api", settings) as process:
        yield process
    assert not tracebacks(process.log)
    assert not any(key in process.log_text() for key in (ACME, ACME_NEW, GLOBEX, CYRILLIC))


@pytest.fixture
async def http(guarded_api: ServiceProcess, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    await announce(redis)
    async with client(guarded_api.url.replace("0.0.0.0", "127.0.0.1")) as talking:  # noqa: S104
        yield talking


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_without_a_key_nothing_is_answered(
    http: httpx2.AsyncClient, redis: Redis, method: str, path: str
) -> None:
    answer = await http.request(method, path, json=WORK)
    assert problem(answer, 401, "unauthorized")["detail"] == "Send your key as Authorization: Bearer KEY."
    assert answer.headers["www-authenticate"] == "Bearer"
    assert await waiting(redis) == 0


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_with_a_wrong_key_nothing_is_answered(http: httpx2.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, path, json=WORK, headers=bearer("acme-key-3"))
    assert (
        problem(answer, 401, "unauthorized")["detail"]
        == "This key is not known here; check it, or ask whoever runs this service for one."
    )
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "acme-key-3" not in answer.text


async def test_whoever_has_no_key_learns_nothing_about_what_is_wrong(http: httpx2.AsyncClient) -> None:
    problem(await http.get("/v1/jobs?limit=0"), 401)
    problem(await http.post("/v1/jobs", content=b"{", headers={"Content-Type": "application/json"}), 401)
    problem(await http.post("/v1/jobs", content=b"x" * 30_000_000, headers={"Content-Type": "application/json"}), 401)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
@pytest.mark.parametrize("headers", [{}, bearer("wrong"), bearer(ACME)])
async def test_operations_need_no_key(http: httpx2.AsyncClient, path: str, headers: dict[str, str]) -> None:
    assert (await http.get(path, headers=headers)).status_code == 200


@pytest.mark.parametrize("key", [ACME, ACME_NEW, GLOBEX])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_known_key_is_let_in(http: httpx2.AsyncClient, key: str, scheme: str) -> None:
    job_of(await http.post("/v1/jobs", json=WORK, headers={"Authorization": f"{scheme} {key}"}), 202)


async def test_a_key_outside_of_ascii_is_known_by_its_bytes(http: httpx2.AsyncClient) -> None:
    headers = [(b"Authorization", b"Bearer " + CYRILLIC.encode())]
    assert (await http.get("/v1/jobs", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        ACME.encode(),
        b"Basic " + ACME.encode(),
        b"Bearer" + ACME.encode(),
        b"Bearer\t" + ACME.encode(),
        b"Bearer " + ACME.upper().encode(),
        b"Bearer " + ACME.encode() + b" x",
        b"Bearer " + digest(ACME).encode(),
        b"Bearer \xff\xfe\x80",
        b"Bearer \xa0",
        "Bearer ключ".encode(),
        "Bearer \U0001f511".encode(),
        b"Bearer " + b"x" * 20_000,
        b"\xff " + ACME.encode(),
        b"Bearer Bearer " + ACME.encode(),
        b"Bearer " + ACME.encode() + b", Bearer " + GLOBEX.encode(),
    ],
)
async def test_anything_else_is_no_key(http: httpx2.AsyncClient, value: bytes) -> None:
    problem(await http.get("/v1/jobs", headers=[(b"Authorization", value)]), 401, "unauthorized")


async def test_another_tenants_jobs_are_as_if_they_were_not_there(http: httpx2.AsyncClient) -> None:
    theirs = job_of(await http.post("/v1/jobs", json=WORK, headers=bearer(ACME)), 202)["id"]
    mine = job_of(await http.post("/v1/jobs", json=WORK, headers=bearer(GLOBEX)), 202)["id"]
    missing = problem(await http.get(NO_JOB, headers=bearer(GLOBEX)), 404)
    for method, path in (("GET", ""), ("GET", "?wait=30"), ("POST", "/cancel")):
        answer = await http.request(method, f"/v1/jobs/{theirs}{path}", headers=bearer(GLOBEX))
        assert problem(answer, 404, "not_found")["detail"] == missing["detail"]
    for key, job_id in ((ACME, theirs), (ACME_NEW, theirs), (GLOBEX, mine)):
        listed = (await http.get("/v1/jobs", headers=bearer(key))).json()["data"]
        assert [job["id"] for job in listed] == [job_id]
    assert job_of(await http.get(f"/v1/jobs/{theirs}", headers=bearer(ACME_NEW)))["status"] == "queued"


async def test_each_tenant_has_idempotency_keys_of_its_own(http: httpx2.AsyncClient, redis: Redis) -> None:
    headers = [bearer(key) | {"Idempotency-Key": "order-17"} for key in (ACME, ACME_NEW, GLOBEX)]
    first, same_tenant, other = [await http.post("/v1/jobs", json=WORK, headers=one) for one in headers]
    assert first.json()["id"] == same_tenant.json()["id"] != job_of(other, 202)["id"]
    assert await waiting(redis) == 2


def start(**settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "api", "--check"]
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104
def test_without_keys_it_binds_to_loopback_only(host: str) -> None:
    done = start(SLUICE_API__HOST=host)
    assert done.returncode == 2
    assert "SLUICE_ALLOW_ANONYMOUS=1" in done.stderr
    assert "key_digests" in done.stderr


def test_anonymous_access_from_elsewhere_has_to_be_asked_for() -> None:
    assert start(SLUICE_API__HOST="0.0.0.0", SLUICE_ALLOW_ANONYMOUS="1").returncode == 0  # noqa: S104
    assert start(SLUICE_API__HOST="0.0.0.0", SLUICE_ALLOW_ANONYMOUS="0").returncode == 2  # noqa: S104
