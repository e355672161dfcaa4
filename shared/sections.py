"""What can be set: the sections of the settings file, their defaults and bounds.

How they are read, and how mistakes are reported, is in `shared.settings`. The text under each field is what
`docs/settings.md` says of it.
"""

import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

from shared.usage import NANO

DEFAULT_MODEL = "claude-sonnet-4-6"
ANTHROPIC_URL = "https://api.anthropic.com"
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://", "redis+sentinel://")


def _redis_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(_REDIS_SCHEMES):
        raise ValueError("must begin with redis://, rediss://, unix:// or redis+sentinel://")
    if not _is_address(url.get_secret_value()):
        raise ValueError(
            "is not an address such as redis://:password@host:6379/0 or redis+sentinel://host:26379,host:26379/service "
            "(in a password write / as %2F, @ as %40, # as %23)"
        )
    return url


def _is_address(url: str) -> bool:
    """Whether hosts, ports, database or service can be told apart; a "/" or "#" in a password mixes them up."""
    try:
        parts = urlsplit(url)
        if parts.fragment:
            return False
        if parts.scheme == "unix":
            return parts.path != ""
        if parts.scheme != "redis+sentinel":
            return (parts.port is None or parts.port > 0) and re.fullmatch(r"(/[0-9]*)?", parts.path) is not None
        hosts = parts.netloc.rpartition("@")[2].split(",")
        ports = [urlsplit(f"//{host}").port for host in hosts]
        return all(hosts) and 0 not in ports and parts.path.strip("/") != ""
    except ValueError:
        return False


def http_url(url: str | None) -> str | None:
    """Raises ValueError for what is no http address, or one with a password in it; None stays None."""
    if url is not None and not url.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    if url is not None and "@" in urlsplit(url).netloc:
        raise ValueError("must hold no user or password: keys come from the variable named by api_key_env")
    return url


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Count = Annotated[int, Field(ge=1)]
Port = Annotated[int, Field(ge=0, le=65535)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class ApiSettings(_Section):
    """The ingress."""

    host: str = "127.0.0.1"
    """Address to listen on. Beyond loopback tenants need keys, or SLUICE_ALLOW_ANONYMOUS=1 says that they need none."""
    port: Port = 8000
    """0 is any free port; the log names it."""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1_048_576
    """The largest request body; a larger one is refused before it is read."""
    max_streams: Count = 5000
    """Event streams that one process has open at once; one more is answered 503."""
    drain_seconds: Annotated[float, Field(ge=0)] = 0
    """How long it still listens after a SIGTERM, for a load balancer that asks /readyz to see the 503 there and go
    elsewhere: reads go on, new work is answered 503 `draining`. A second signal ends it. With 0 it closes at once."""
    max_batch_bytes: Annotated[int, Field(ge=1024)] = 8_388_608
    """The largest body of a batch. Each of its jobs may still be as large as `max_body_bytes` says, not more."""


class RedisSettings(_Section):
    """The store of everything. Redis 7.0 or newer, or Valkey 7.2 or newer."""

    url: Annotated[SecretStr, AfterValidator(_redis_url)] = SecretStr("redis://127.0.0.1:6379/0")
    """redis://, rediss://, unix:// or redis+sentinel://host:port,host:port/service. Also as REDIS_URL."""


class QueueSettings(_Section):
    """What may wait, and what becomes of jobs whose worker dies."""

    max_depth: Count = 10_000
    """Waiting jobs at which a submit is answered 429."""
    max_wait_seconds: Annotated[float, Field(ge=0)] = 0
    """Estimated wait at which a submit is answered 429; 0 is off."""
    lease_seconds: Annotated[float, Field(ge=1)] = 10
    """How long a worker that is silent but still connected (frozen, cut off) keeps its jobs. A killed one is noticed
    sooner, after about 3 seconds."""
    max_crashes: Count = 5
    """Deaths of its worker after which a job fails with `worker_crashed`."""
    retention_seconds: Annotated[int, Field(ge=60)] = 604_800
    """How long a finished job can be read."""


class WorkerSettings(_Section):
    """A worker process."""

    max_in_flight: Count = 32
    """Jobs it runs at once. They mostly wait for the model, so this is not about cores."""
    drain_seconds: Annotated[float, Field(ge=0)] = 600
    """How long a SIGTERM lets jobs end their turn before they are given back in the middle of it."""
    max_block_seconds: Annotated[float, Field(gt=0)] = 60
    """How long a tool may block the event loop (a call without await in an async function) before the worker counts as
    hung, and its jobs are left to others. A plain def runs in a thread and blocks nothing."""
    park_after_seconds: Annotated[float, Field(gt=0)] = 30
    """How long a job keeps its slot while its model call waits at the gate. Then it is parked: others get the slot, and
    it goes on later where it stopped."""
    http_host: str = "127.0.0.1"
    """Address of its own /healthz, /readyz and /metrics."""
    http_port: Port = 8001
    """0 is any free port; the log names it."""
    agents: list[str] = []
    """Modules to import agents from, such as ["examples.invoices"]."""


class Target(_Section):
    """One model at one provider, behind one gate. Limits are starting values; the answers' headers teach the rest."""

    provider: Literal["anthropic"] = "anthropic"
    """Whose API it speaks."""
    model: Annotated[str, Field(pattern=r"^[^{}]+$")] = DEFAULT_MODEL
    """The provider's name for the model."""
    base_url: Annotated[str | None, AfterValidator(http_url)] = None
    """The provider's address, or a gateway's. Default: ANTHROPIC_BASE_URL, else https://api.anthropic.com."""
    pool: Name | None = None
    """What the provider meters together; targets of one pool share one gate. Default: the model."""
    api_key_env: Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")] = "ANTHROPIC_API_KEY"
    """The variable that holds the key; NAME_FILE names a file with it instead."""
    requests_per_minute: Count = 50
    """Requests the provider allows."""
    input_tokens_per_minute: Count = 30_000
    """Input tokens the provider allows, cache reads not counted."""
    output_tokens_per_minute: Count = 8_000
    """Output tokens the provider allows."""
    max_in_flight: Count = 64
    """Calls in flight at once, of all workers."""

    _api_key: SecretStr | None = PrivateAttr(default=None)

    @property
    def api_key(self) -> SecretStr | None:
        """What the variable named by `api_key_env` held at start."""
        return self._api_key

    @property
    def pool_name(self) -> str:
        return self.pool or self.model


class Chain(_Section):
    """Targets in the order in which they are asked. Agents name a chain; `default` must be there."""

    targets: Annotated[list[Name], Field(min_length=1)]
    """Names of targets. When one fails, has no room in time or refuses its key, the next is asked."""
    fallback_after_seconds: Annotated[float, Field(gt=0)] = 5
    """How long a model call waits at the gate of a target that has another one behind it. While its provider fails it
    does not wait at all. At the last target it waits for `worker.park_after_seconds`."""
    drill_percent: Annotated[float, Field(ge=0, le=100)] = 0
    """Share of the jobs that ask the second target first, on purpose: so that it is known to work when it is needed. A
    job that it cannot serve goes to the first."""


class Scope(StrEnum):
    """What a key is good for; none of them includes another."""

    SUBMIT = "submit"
    """Everything that changes something of its tenant."""
    READ = "read"
    """Everything of its tenant that can be read."""
    ADMIN = "admin"
    """The numbers of all tenants, and what each worker runs; no tenant's jobs."""


USUAL_SCOPES = (Scope.SUBMIT, Scope.READ)
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class Key(_Section):
    """A bearer key of a tenant, with what it is good for. `python -m api keygen` makes one."""

    digest: Digest
    """Its SHA-256 digest: `printf %s "$KEY" | sha256sum`."""
    scopes: Annotated[list[Scope], Field(min_length=1)] = list(USUAL_SCOPES)
    """`submit`: submit and cancel jobs, change what belongs to the tenant. `read`: read its jobs and its own numbers.
    `admin`: read the numbers of all tenants, and which jobs each worker runs, but nobody's jobs."""
    expires_at: AwareDatetime | None = None
    """When it is no longer good, such as 2027-01-31T12:00:00Z."""


class Tenant(_Section):
    """Somebody who submits jobs."""

    key_digests: list[Digest] = []
    """SHA-256 digests of its bearer keys: `printf %s "$KEY" | sha256sum`. They are good for `submit` and `read`."""
    keys: dict[Name, Key] = {}
    """Keys that are good for less or for more, or that expire: `[tenants.NAME.keys.NAME]`."""
    agents: list[str] | None = None
    """Agents it may ask for, by name; all when it is left out. A submit for another is answered 403."""
    weight: Annotated[float, Field(ge=0.01, le=100)] = 1
    """Its share of the running jobs beside other tenants: one of weight 2 has twice as many running as one of 1."""
    max_waiting: Count | None = None
    """Jobs it may have waiting; a submit above that is answered 429."""
    max_running: Count | None = None
    """Jobs it may have running, of all workers; more of them wait. Counts from its next submit on."""
    submits_per_minute: Annotated[int, Field(ge=1, le=60_000)] | None = None
    """Jobs it may submit a minute: so many at once, then one after the other as time passes. A submit above that is
    answered 429."""
    daily_cost_usd: Annotated[Decimal, Field(ge=Decimal("0.000001"))] | None = None
    """What its jobs may cost a day (UTC). A model call is made only if its worst case fits what is left. Once that is
    spent, submits are answered 429 until midnight; a job that is in waits for midnight, or ends with what it has if it
    may not live so long. Api and workers need the same."""

    @property
    def daily_cost_nano(self) -> int:
        """The same in nano-dollars, 0 for any amount."""
        return int((self.daily_cost_usd or 0) * NANO)

    @property
    def has_key(self) -> bool:
        return bool(self.key_digests or self.keys)


class WebhookSettings(_Section):
    """Where events of jobs may be sent. Api and workers need the same."""

    allow_http: bool = False
    """Receivers without TLS: whoever is on the way can read what they are sent."""
    allow_private_networks: bool = False
    """Receivers at private, loopback, link-local and other addresses that are not on the public internet. Whoever may
    submit jobs can then make a worker call addresses inside your network."""
    keep_answers: bool = False
    """Keep the first 4 KB of what receivers answer, to be seen in the delivery log."""


class ActionSettings(_Section):
    """Questions to persons: may this call run, and did that one happen?"""

    expire_seconds: Count = 86_400
    """How long a job waits for a person's decision. After that it goes on without: the call is not run, and the model
    is told that nobody decided."""


class SessionSettings(_Section):
    """What agents remember from job to job. Api and workers need the same."""

    idle_seconds: Count = 3600
    """How long a session is kept after its last job has ended."""
    max_history_bytes: Annotated[int, Field(ge=1024)] = 200_000
    """How much of a session is remembered, counted as JSON in UTF-8. Of 200,000 bytes the model reads 50,000 tokens or
    so, with each call. The oldest jobs are forgotten first, each as a whole; one that is longer by itself is remembered
    as what it was asked and what it answered."""


NAMED = frozenset({"targets", "chains", "tenants"})
"""Sections of which there are several, each with a name: [targets.NAME]."""

TABLES: dict[str, dict[str, type[BaseModel]]] = {"tenants": {"keys": Key}}
"""Named tables inside of named sections: [tenants.NAME.keys.NAME]."""

SECTIONS: dict[str, type[BaseModel]] = {
    "api": ApiSettings,
    "redis": RedisSettings,
    "queue": QueueSettings,
    "worker": WorkerSettings,
    "targets": Target,
    "chains": Chain,
    "tenants": Tenant,
    "webhooks": WebhookSettings,
    "actions": ActionSettings,
    "sessions": SessionSettings,
}
