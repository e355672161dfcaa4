"""The stack for as long as it is wanted: prints where everything is, replaces a dead worker, drains at the end."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from client.sluice_client import SluiceError
from local import environment, live
from local.client import announced, client
from local.data_folder import data_folder
from local.interrupt import Interrupt, Interrupted
from local.log_line import readable
from local.stack import LocalStack, Plan, StackError, free_or_any
from shared.sections import ApiSettings
from shared.settings import Settings, load

_DATA = Path(__file__).resolve().parent.parent / "data"
_WATCH_SECONDS = 0.5
_SHOWN_EVENTS = ("job_finished", "job_released", "draining")
_EXAMPLE = {"agent": "researcher", "input": "What is 17 * 23, and what time is it?"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for."""

    live: bool = False
    data: Path | None = None
    """Where jobs are kept; None is `data/` of the repository."""


def run(wish: Wish, console: Console, errors: Console) -> int:
    """The exit code once it has been stopped. Raises SettingsError before anything is started."""
    settings = live.settings() if wish.live else load("api")
    folder = (wish.data or _DATA) / ("live" if wish.live else "simulated")
    try:
        with data_folder(folder), Interrupt() as interrupt:
            stack = LocalStack(_plan(wish, settings, folder), lambda who, line: _tell(console, who, line))
            try:
                return _stay(stack, settings, console, interrupt)
            finally:
                stack.stop()
    except StackError as error:
        errors.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
        return 1


def _plan(wish: Wish, settings: Settings, folder: Path) -> Plan:
    return Plan(
        targets=settings.targets,
        live=wish.live,
        provider_flags=tuple(flag for target in settings.targets.values() for flag in ("--model", target.model)),
        given=environment.users_own(),
        settings={"SLUICE_API__PORT": str(_port(settings))},
        agents=tuple(settings.worker.agents),
        data_folder=folder,
    )


def _port(settings: Settings) -> int:
    """The usual port if nobody has it; one that was asked for in so many words is had or is an error."""
    asked = "port" in settings.api.model_fields_set
    return settings.api.port if asked else free_or_any(settings.api.port)


def _stay(stack: LocalStack, settings: Settings, console: Console, interrupt: Interrupt) -> int:
    try:
        with console.status("Starting Redis, the provider, the api and two workers"):
            stack.start(interrupt)
        _print_welcome(stack, settings, console)
        while True:
            interrupt.check()
            _replace_dead_workers(stack, console)
            interrupt.sleep(_WATCH_SECONDS)
    except Interrupted:
        console.print("Stopping: workers end their turns; Ctrl-C again to hurry.", highlight=False)
        stack.drain(interrupt)
        console.print("The workers are done; ending the api, the provider and Redis.", highlight=False)
        stack.stop()
        console.print(f"Stopped. Jobs are kept in {stack.redis.folder}.", highlight=False, soft_wrap=True)
        return 0


def _replace_dead_workers(stack: LocalStack, console: Console) -> None:
    """Raises StackError when it is another part that has died: nothing works without it."""
    for name in stack.died():
        if name not in stack.workers:
            raise StackError(f"{stack.obituary(name)}\nNothing works without it, so all is stopped.")
        console.print(Text(stack.obituary(name), "yellow"))
        worker = stack.restart(name)
        console.print(Text(f"{name} is running again: {worker.url}", "green"))


def _print_welcome(stack: LocalStack, settings: Settings, console: Console) -> None:
    console.print(Text("Sluice is up", "bold green"), _who_pays(stack), "Ctrl-C stops it.\n", highlight=False)
    usual = ApiSettings().port
    if not settings.api.model_fields_set and not stack.api_url.endswith(f":{usual}"):
        console.print(Text(f"Port {usual} is taken by another program, so the api has another one.\n", "yellow"))
    for name, place in _places(stack).items():
        console.print(Text(f"  {name:<10}") + Text(place, "cyan"), soft_wrap=True)
    for title, command in _commands(stack.api_url, open_access=settings.open_access).items():
        console.print(Text(f"\n{title}", "bold"))
        console.print(Text(f"  {command}"), soft_wrap=True)
    console.print()


def _who_pays(stack: LocalStack) -> str:
    if stack.provider:
        return "with a simulated provider, so nothing is spent."
    return "with the real API: every job costs money."


def _places(stack: LocalStack) -> Mapping[str, str]:
    workers = {name: f"{worker.url}/metrics" for name, worker in stack.workers.items()}
    played = {"provider": stack.provider.url} if stack.provider else {}
    return {
        "api": stack.api_url,
        "docs": f"{stack.api_url}/docs",
        **workers,
        **played,
        "redis": f"{stack.redis.url}, kept in {stack.redis.folder}",
        "agents": ", ".join(_agents(stack)),
    }


def _agents(stack: LocalStack) -> list[str]:
    try:
        with client(stack.api_url) as api:
            return sorted(announced(api)) or ["announced in a moment"]
    except SluiceError:
        return [f"see {stack.api_url}/v1/agents"]  # the api wants a key


def _commands(url: str, *, open_access: bool) -> Mapping[str, str]:
    """What to copy, by what it is good for."""
    curl = "curl -s" if open_access else 'curl -s -H "Authorization: Bearer $SLUICE_KEY"'
    body = json.dumps(_EXAMPLE)
    return {
        "Submit a job:": f"{curl} {url}/v1/jobs -H 'Content-Type: application/json' -d '{body}'",
        "See how the newest one is doing:": f"{curl} '{url}/v1/jobs?limit=1'",
        "Wait for one, with the id that the first command printed:": f"{curl} '{url}/v1/jobs/JOB_ID?wait=30'",
    }


def _tell(console: Console, who: str, line: dict[str, Any]) -> None:
    """Prints what is worth knowing of what a child logs."""
    event, level = line.get("event"), line.get("level", "info")
    if event is None or event in _SHOWN_EVENTS or level != "info" or line.get("logger") == "tool":
        style = "" if level == "info" else "yellow"
        console.print(Text(f"{who}  {readable(line)}", style), soft_wrap=True)
