"""Settings: a TOML file named by SLUICE_CONFIG, each value overridable as SLUICE_SECTION__NAME.

Secrets and addresses also come under their usual names, REDIS_URL, ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL, each
also as NAME_FILE for a mounted secret. This module alone reads the environment. All mistakes are reported at once,
each with its cure, and no secret is ever part of a message.
"""

import ipaddress
import os
import tomllib
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import Any, Literal

from pydantic import ModelWrapValidatorHandler, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from shared import clock
from shared.errors import SettingsError
from shared.mistakes import contradictions, explain, nearest, place
from shared.sections import (
    ANTHROPIC_URL,
    ActionSettings,
    ApiSettings,
    Chain,
    Name,
    QueueSettings,
    RedisSettings,
    SessionSettings,
    Target,
    Tenant,
    WebhookSettings,
    WorkerSettings,
    http_url,
)

_NO_SECTION = frozenset({"SLUICE_CONFIG", "SLUICE_ALLOW_ANONYMOUS"})


class _Environment(EnvSettingsSource):
    """The variables SLUICE_SECTION__NAME. One that is no JSON where it should be is judged with all other values."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class Settings(BaseSettings):
    """All settings of both processes; each reads the sections it needs."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_", env_nested_delimiter="__", extra="forbid", frozen=True)

    api: ApiSettings = ApiSettings()
    redis: RedisSettings = RedisSettings()
    queue: QueueSettings = QueueSettings()
    worker: WorkerSettings = WorkerSettings()
    targets: dict[Name, Target] = {"default": Target()}
    chains: dict[Name, Chain] = {}
    tenants: dict[Name, Tenant] = {}
    webhooks: WebhookSettings = WebhookSettings()
    actions: ActionSettings = ActionSettings()
    sessions: SessionSettings = SessionSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        url, _ = _usual("REDIS_URL")
        usual = InitSettingsSource(settings_cls, {"redis": {"url": url}} if url else {})
        path = os.environ.get("SLUICE_CONFIG")
        if path and not Path(path).is_file():
            raise FileNotFoundError("there is no such file")
        files = (TomlConfigSettingsSource(settings_cls, path),) if path else ()
        return (_Environment(settings_cls), usual, *files)

    @model_validator(mode="wrap")
    @classmethod
    def _report_all(cls, data: Any, handler: ModelWrapValidatorHandler["Settings"]) -> "Settings":
        """Adds what no single field can tell to what pydantic finds, so that one start shows it all."""
        problems = [
            InitErrorDetails(type=PydanticCustomError("reference", "{text}", {"text": text}), loc=where, input=None)
            for where, text in contradictions(data)
        ]
        try:
            settings = handler(data)
        except ValidationError as error:
            problems += [
                InitErrorDetails(
                    type=PydanticCustomError("field", "{text}", {"text": explain(found)}),
                    loc=found["loc"],
                    input=None,
                )
                for found in error.errors()
            ]
        if problems:
            raise ValidationError.from_exception_data("settings", problems, hide_input=True)
        return settings

    @property
    def open_access(self) -> bool:
        """No tenant has a key: everybody is the tenant `default`."""
        return not any(tenant.has_key for tenant in self.tenants.values())


def load(part: Literal["api", "worker"]) -> Settings:
    """Reads and checks everything that `part` needs. Raises SettingsError with every mistake there is."""
    mistakes = [*_strange_variables(), *_wrong_addresses()]
    settings = None
    try:
        settings = Settings()
    except ValidationError as error:
        mistakes += [f"{place(found)}: {found['msg']}" for found in error.errors()]
    except (OSError, tomllib.TOMLDecodeError) as error:
        mistakes.append(f"SLUICE_CONFIG={os.environ.get('SLUICE_CONFIG')}: {error}")
    except UnicodeDecodeError as error:
        mistakes.append(f"SLUICE_CONFIG={os.environ.get('SLUICE_CONFIG')}: is not UTF-8 at byte {error.start}")
    if settings is not None:
        settings, wrong_keys = _resolved(settings)
        mistakes += wrong_keys
        mistakes += _unsafe_binding(settings) if part == "api" else _missing_keys(settings)
    if mistakes or settings is None:
        raise SettingsError(mistakes)
    return settings


def without_effect(settings: Settings) -> list[str]:
    """The settings that were given but that nothing acts on: to be said at start, not silently ignored."""
    idle = [
        f"chains.{name}.drill_percent (there is no second target)"
        for name, one in settings.chains.items()
        if one.drill_percent and not one.targets[1:]
    ]
    for name, tenant in settings.tenants.items():
        for key, one in tenant.keys.items():
            expired = one.expires_at is not None and one.expires_at <= clock.wall_clock(UTC)
            idle += [f"tenants.{name}.keys.{key} (it has expired)"] if expired else []
    return idle


def variables(names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The values of variables that a declaration names (or of the files that NAME_FILE names), and what is wrong."""
    found: dict[str, str] = {}
    mistakes = []
    for name in names:
        value, mistake = _usual(name)
        if value:
            found[name] = value
        else:
            mistakes.append(mistake or f"{name} is not set: set it, or {name}_FILE to a file that holds it")
    return found, mistakes


def _resolved(settings: Settings) -> tuple[Settings, list[str]]:
    """Fills in what other settings or the usual variables decide: base URLs, keys, the default chain. And mistakes."""
    targets, mistakes = {}, []
    usual_url, _ = _usual("ANTHROPIC_BASE_URL")
    for name, target in settings.targets.items():
        key, mistake = _usual(target.api_key_env)
        mistakes += [mistake] if mistake else []
        targets[name] = target.model_copy(update={"base_url": target.base_url or usual_url or ANTHROPIC_URL})
        targets[name]._api_key = SecretStr(key) if key else None
    chains = settings.chains or {"default": Chain(targets=list(targets))}
    return settings.model_copy(update={"targets": targets, "chains": chains}), list(dict.fromkeys(mistakes))


def _usual(name: str) -> tuple[str | None, str | None]:
    """The value of a variable, or of the file that NAME_FILE names; and what is wrong with it."""
    value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value and path:
        return None, f"{name} and {name}_FILE are both set: unset one of them"
    if not path:
        return (value or "").strip() or None, None
    try:
        text = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        return None, f"{name}_FILE={path}: cannot be read: {type(error).__name__}"
    return (text, None) if text else (None, f"{name}_FILE={path}: the file is empty")


def _wrong_addresses() -> list[str]:
    _, redis = _usual("REDIS_URL")
    base_url, base = _usual("ANTHROPIC_BASE_URL")
    try:
        http_url(base_url)
    except ValueError as error:
        base = f"ANTHROPIC_BASE_URL: {error}"
    return [mistake for mistake in (redis, base) if mistake]


def _strange_variables() -> list[str]:
    sections = [f"SLUICE_{name.upper()}" for name in Settings.model_fields]
    strange = []
    for name in sorted(os.environ):
        if name.startswith("SLUICE_") and name not in _NO_SECTION and name.split("__")[0] not in sections:
            strange.append(f"{name}: there is no such setting{nearest(name, [*sections, *_NO_SECTION])}")
    return strange


def _unsafe_binding(settings: Settings) -> list[str]:
    if not settings.open_access or _is_loopback(settings.api.host):
        return []
    if os.environ.get("SLUICE_ALLOW_ANONYMOUS") == "1":
        return []
    return [
        f"api.host = {settings.api.host} is reachable from other machines, but no tenant has a key: "
        "give one a key (python -m api keygen makes it, [tenants.NAME] key_digests lists it), "
        "or set SLUICE_ALLOW_ANONYMOUS=1 to let everybody in"
    ]


def _missing_keys(settings: Settings) -> list[str]:
    return [
        f"targets.{name}: {target.api_key_env} is not set: set it (or {target.api_key_env}_FILE) to the provider's "
        "API key; to run without one, start the simulated provider (python -m local.provider) and set "
        f"ANTHROPIC_BASE_URL to its address and {target.api_key_env} to any word"
        for name, target in settings.targets.items()
        if target.api_key is None and not os.environ.get(f"{target.api_key_env}_FILE")  # else that file is wrong
    ]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
