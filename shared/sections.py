"""What can be set: the sections of the settings file, their defaults and bounds.

How they are read, and how mistakes are reported, is in `shared.settings`. `docs/settings.md` explains each.
"""

import re
from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

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
    """Raises ValueError for what is no http address; None stays None."""
    if url is not None and not url.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return url


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Count = Annotated[int, Field(ge=1)]
Port = Annotated[int, Field(ge=0, le=65535)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ApiSettings(_Section):
    host: str = "127.0.0.1"
    port: Port = 8000
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1_048_576


class RedisSettings(_Section):
    url: Annotated[SecretStr, AfterValidator(_redis_url)] = SecretStr("redis://127.0.0.1:6379/0")


class QueueSettings(_Section):
    max_depth: Count = 10_000
    max_wait_seconds: Annotated[float, Field(ge=0)] = 0
    lease_seconds: Annotated[float, Field(ge=1)] = 10
    max_crashes: Count = 5
    retention_seconds: Annotated[int, Field(ge=60)] = 604_800


class WorkerSettings(_Section):
    max_in_flight: Count = 32
    drain_seconds: Annotated[float, Field(ge=0)] = 600
    http_host: str = "127.0.0.1"
    http_port: Port = 8001
    agents: list[str] = []


class Target(_Section):
    """One model at one provider, behind one gate. Limits are starting values, learned from the answers' headers."""

    provider: Literal["anthropic"] = "anthropic"
    model: Annotated[str, Field(min_length=1)] = DEFAULT_MODEL
    base_url: Annotated[str | None, AfterValidator(http_url)] = None
    pool: Name | None = None
    api_key_env: Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")] = "ANTHROPIC_API_KEY"
    requests_per_minute: Count = 50
    input_tokens_per_minute: Count = 30_000
    output_tokens_per_minute: Count = 8_000
    max_in_flight: Count = 64

    _api_key: SecretStr | None = PrivateAttr(default=None)

    @property
    def api_key(self) -> SecretStr | None:
        """What the variable named by `api_key_env` held at start."""
        return self._api_key

    @property
    def pool_name(self) -> str:
        """What the provider meters together."""
        return self.pool or self.model


class Chain(_Section):
    """Targets in the order in which they are asked."""

    targets: Annotated[list[Name], Field(min_length=1)]
    drill_percent: Annotated[float, Field(ge=0, le=100)] = 0


class Tenant(_Section):
    key_digests: list[Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]] = []
    weight: Annotated[float, Field(gt=0)] = 1
    max_waiting: Count | None = None
    max_running: Count | None = None
    daily_cost_usd: Annotated[Decimal, Field(gt=0)] | None = None


class WebhookSettings(_Section):
    allow_http: bool = False
    allow_private_networks: bool = False


class SessionSettings(_Section):
    idle_seconds: Count = 3600
