"""The settings that the processes of the stack get: the user's own, or none, and where their model calls go."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from local.provider.settings import Settings as ProviderSettings
from shared.sections import Target

EXAMPLES = ("examples.invoices",)
_ANY_PORT = {"SLUICE_API__HOST": "127.0.0.1", "SLUICE_API__PORT": "0"} | {
    "SLUICE_WORKER__HTTP_HOST": "127.0.0.1",
    "SLUICE_WORKER__HTTP_PORT": "0",
}


def users_own() -> dict[str, str]:
    """What this process was started with, for processes that start elsewhere."""
    given = {name: value for name, value in os.environ.items() if name.startswith(("SLUICE_", "ANTHROPIC_"))}
    if path := given.get("SLUICE_CONFIG"):
        given["SLUICE_CONFIG"] = str(Path(path).resolve())
    return given


def simulated(given: Mapping[str, str], targets: Mapping[str, Target], provider_url: str) -> dict[str, str]:
    """`given` with every target led to the simulated provider, whatever it says: no call may cost money."""
    ours = {name: value for name, value in given.items() if not name.startswith(("SLUICE_TARGETS", "ANTHROPIC_"))}
    led_away = {name: _simulated(target, provider_url).model_dump() for name, target in targets.items()}
    return ours | {"SLUICE_TARGETS": json.dumps(led_away), "ANTHROPIC_API_KEY": "simulated"}


def placed(given: Mapping[str, str], redis_url: str, agents: Iterable[str], **settings: str) -> dict[str, str]:
    """`given` for processes on this machine: this Redis, loopback, free ports, and these modules with agents."""
    modules = json.dumps(list(dict.fromkeys([*agents, *EXAMPLES])))
    ours = {"REDIS_URL": redis_url, "SLUICE_REDIS__URL": redis_url, "SLUICE_WORKER__AGENTS": modules}
    return {name: value for name, value in given.items() if name != "REDIS_URL_FILE"} | _ANY_PORT | ours | settings


def _simulated(target: Target, provider_url: str) -> Target:
    limits = ProviderSettings()
    return target.model_copy(
        update={
            "base_url": provider_url,
            "api_key_env": "ANTHROPIC_API_KEY",
            "requests_per_minute": int(limits.requests_per_minute),
            "input_tokens_per_minute": int(limits.input_tokens_per_minute),
            "output_tokens_per_minute": int(limits.output_tokens_per_minute),
        }
    )
