"""The demo: the whole stack on this machine, some jobs of every shipped agent, and what came of them. The end of each
is also told to a receiver of webhooks."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest

from rich.console import Console

from client.sluice_client import Job, JobOptions, Sluice, SluiceError
from local import environment, live
from local.client import announced, client, in_flight
from local.interrupt import Interrupt, Interrupted
from local.progress import Moment, View, view
from local.prompts import PROMPTS, prompts
from local.receiver import Receiver
from local.report import report, report_webhooks
from local.stack import LocalStack, Plan, StackError
from local.tally import tally, tally_by_agent
from shared.sections import Target

_SLOTS = 8
_POLL_SECONDS = 0.2
_AGENTS_SECONDS = 20.0
_PATIENCE_SECONDS = 120.0
"""How long no job may move before the demo gives up on them."""
_WEBHOOK_SECONDS = 10.0
"""How long a webhook may take after its job has ended."""
_JOBS, _LIVE_JOBS = 20, 2

# The pace of a model as one knows it, so that there is something to see.
_PACE = ("--latency", "0.5", "--tokens-per-second", "75")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for."""

    jobs: int | None = None
    """Of each agent."""
    live: bool = False
    agreed: bool = False
    model: str | None = None
    """What the simulated provider is asked for; the real one is asked for what the settings say."""

    @property
    def each(self) -> int:
        return self.jobs or (_LIVE_JOBS if self.live else _JOBS)


def run(wish: Wish, console: Console, errors: Console) -> int:
    """The exit code. Raises SettingsError and Unaffordable before anything is started."""
    plan = _live_plan(wish, console) if wish.live else _simulated_plan(wish)
    stack = LocalStack(plan)
    with Interrupt() as interrupt, Receiver() as receiver:
        try:
            _start(stack, console, interrupt)
            jobs = _watch(stack, wish, receiver, console, interrupt)
            _await_webhooks(receiver, jobs, interrupt)
            return report_webhooks(jobs, receiver, console) | report(jobs, console, live=wish.live)
        except Interrupted:
            errors.print("Stopped before the end; what was running is ended.", highlight=False)
            return 130
        except (StackError, SluiceError) as error:
            errors.print(_reason(stack, error), style="red", highlight=False, markup=False, soft_wrap=True)
            return 1
        finally:
            stack.stop()


def _simulated_plan(wish: Wish) -> Plan:
    """Nothing of the user's settings counts: a demo looks the same everywhere."""
    target = Target(model=wish.model) if wish.model else Target()
    return Plan(targets={"default": target}, provider_flags=_PACE, settings=_settings())


def _live_plan(wish: Wish, console: Console) -> Plan:
    settings = live.settings()
    live.agree(console, settings.targets.values(), wish.each * len(PROMPTS), agreed=wish.agreed)
    return Plan(
        targets=settings.targets,
        live=True,
        given=environment.users_own(),
        settings=_settings(),
        agents=tuple(settings.worker.agents),
    )


def _settings() -> dict[str, str]:
    here = {"SLUICE_WEBHOOKS__ALLOW_HTTP": "true", "SLUICE_WEBHOOKS__ALLOW_PRIVATE_NETWORKS": "true"}
    return {"SLUICE_WORKER__MAX_IN_FLIGHT": str(_SLOTS)} | here


def _start(stack: LocalStack, console: Console, interrupt: Interrupt) -> None:
    began = time.monotonic()
    with console.status("Starting Redis, the provider, the api and two workers"):
        stack.start(interrupt)
        _await_agents(stack, interrupt)
    played = f" and a simulated provider on {stack.provider.url}" if stack.provider else ""
    console.print(
        f"Up in {time.monotonic() - began:.1f} s: {len(stack.workers)} workers, the api on {stack.api_url}{played}.",
        highlight=False,
    )


def _await_agents(stack: LocalStack, interrupt: Interrupt) -> None:
    """Workers announce their agents a moment after they are up."""
    deadline = time.monotonic() + _AGENTS_SECONDS
    with client(stack.api_url) as api:
        while missing := PROMPTS.keys() - announced(api):
            if time.monotonic() > deadline:
                raise StackError(f"No worker has announced {', '.join(sorted(missing))}.")
            stack.check()
            interrupt.check()
            interrupt.sleep(0.05)


def _watch(stack: LocalStack, wish: Wish, receiver: Receiver, console: Console, interrupt: Interrupt) -> list[Job]:
    """Submits, shows how the jobs come along, and returns them when all have ended or nothing moves any more."""
    with client(stack.api_url) as api, view(console) as shown:
        began = time.monotonic()
        endpoint = api.request("POST", "/v1/webhook_endpoints", body={"url": receiver.url})
        receiver.secret = endpoint["secret"]
        options: JobOptions = {"webhook": {"endpoint_id": endpoint["id"]}}
        if wish.live:
            options["budget"] = {"max_cost_usd": live.JOB_COST}
        for agent, text in _work(wish.each):
            api.submit(agent, text, **options)
            interrupt.check()
        return _follow(stack, api, shown, began, interrupt)


def _await_webhooks(receiver: Receiver, jobs: list[Job], interrupt: Interrupt) -> None:
    """They are sent beside the jobs, so the last ones may still be on their way."""
    deadline = time.monotonic() + _WEBHOOK_SECONDS
    ended = {job["id"] for job in jobs if job["finished_at"]}
    while not ended <= receiver.jobs() and time.monotonic() < deadline:
        interrupt.check()
        interrupt.sleep(0.05)


def _work(each: int) -> Iterator[tuple[str, str]]:
    """Agents and prompts, taking turns."""
    columns = [[(agent, text) for text in prompts(agent, each)] for agent in PROMPTS]
    return (one for one in chain.from_iterable(zip_longest(*columns)) if one)


def _follow(stack: LocalStack, api: Sluice, shown: View, began: float, interrupt: Interrupt) -> list[Job]:
    moved, before = time.monotonic(), (0, 0)
    while True:
        interrupt.check()
        stack.check()
        jobs = list(api.list())
        total, now = tally(jobs), time.monotonic()
        shown.show(Moment(tally_by_agent(jobs, PROMPTS), in_flight(stack.workers), _SLOTS, now - began))
        if (total.turns, total.finished) != before:
            moved, before = now, (total.turns, total.finished)
        if total.finished == total.jobs or now - moved > _PATIENCE_SECONDS:
            return jobs
        interrupt.sleep(_POLL_SECONDS)


def _reason(stack: LocalStack, error: Exception) -> str:
    """A part that has ended says more than the request that it did not answer."""
    if isinstance(error, SluiceError):
        try:
            stack.check()
        except StackError as deeper:
            return str(deeper)
    return str(error)
