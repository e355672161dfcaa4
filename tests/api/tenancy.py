"""An api for several tenants with keys of all kinds, for the tests of who may do and see what."""

from pathlib import Path

from local.service_process import ServiceProcess
from tests.api.talk import digest
from tests.forked import ForkedService

ACME, ACME_READS, ACME_SUBMITS, GLOBEX = "acme-key", "acme-dashboard", "acme-producer", "globex-key"
ADMIN, EXPIRED, NOT_YET = "operators-key", "expired-key", "long-lived-key"
SETTINGS = f"""
[tenants.acme]
key_digests = ["{digest(ACME)}"]
max_waiting = 5000
[tenants.acme.keys.dashboard]
digest = "{digest(ACME_READS)}"
scopes = ["read"]
[tenants.acme.keys.producer]
digest = "{digest(ACME_SUBMITS)}"
scopes = ["submit"]
[tenants.globex]
key_digests = ["{digest(GLOBEX)}"]
weight = 2
daily_cost_usd = "50"
[tenants.operators.keys.monitor]
digest = "{digest(ADMIN)}"
scopes = ["admin"]
[tenants.operators.keys.old]
digest = "{digest(EXPIRED)}"
expires_at = 2020-01-01T00:00:00Z
[tenants.operators.keys.new]
digest = "{digest(NOT_YET)}"
expires_at = 2999-01-01T00:00:00+01:00
"""


def api_of(settings: str, folder: Path, redis_url: str) -> ServiceProcess:
    path = folder / "sluice.toml"
    path.write_text(settings)
    return ForkedService("api", {"REDIS_URL": redis_url, "SLUICE_API__PORT": "0", "SLUICE_CONFIG": str(path)})


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
