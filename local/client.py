"""The client in front of the stack on this machine, and what the demo asks besides jobs."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import httpx2

from client.sluice_client import Sluice
from local.service_process import ServiceProcess

_IN_FLIGHT = re.compile(r"^sluice_worker_jobs_in_flight (\S+)$", re.MULTILINE)


@contextmanager
def client(url: str) -> Iterator[Sluice]:
    """Asks once, and through no proxy: what does not answer on this machine is gone."""
    with httpx2.Client(trust_env=False) as http, Sluice(url, retries=0, http=http) as api:
        yield api


def announced(api: Sluice) -> set[str]:
    """Names of the agents that can be asked for. Raises SluiceError."""
    return {agent["name"] for agent in api.request("GET", "/v1/agents")["data"]}


def in_flight(workers: Mapping[str, ServiceProcess]) -> dict[str, int]:
    """How many jobs each worker runs now, by its own metrics; without those that are gone."""
    found = {}
    with httpx2.Client(trust_env=False) as http:
        for name, worker in workers.items():
            with suppress(httpx2.HTTPError):
                told = _IN_FLIGHT.search(http.get(f"{worker.url}/metrics").text)
                found[name] = int(float(told[1])) if told else 0
    return found
