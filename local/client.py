"""The api as anybody uses it: over HTTP, and nothing else."""

import re
from types import TracebackType
from typing import Any, Self

import httpx2

_TIMEOUT_SECONDS = 10
_PAGE = 100
_IN_FLIGHT = re.compile(r"^sluice_worker_jobs_in_flight (\S+)$", re.MULTILINE)

JobView = dict[str, Any]
"""A job as the api shows it: `api.schemas.JobResource`."""


class ApiError(Exception):
    """The api refused, or did not answer."""


class Client:
    """`with Client(url) as api: ...`; every method raises ApiError."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.Client(base_url=url, timeout=_TIMEOUT_SECONDS, trust_env=False)

    def agents(self) -> set[str]:
        """Names of the agents that can be asked for."""
        return {agent["name"] for agent in self._call("GET", "/v1/agents")["data"]}

    def add_endpoint(self, url: str) -> tuple[str, str]:
        """Makes a receiver of webhooks known; its id and its secret."""
        made = self._call("POST", "/v1/webhook_endpoints", json={"url": url})
        return str(made["id"]), str(made["secret"])

    def submit(self, agent: str, text: str, budget: dict[str, Any] | None = None, endpoint: str | None = None) -> str:
        """The id of the new job; `endpoint` is told of its end."""
        body = {"agent": agent, "input": text} | ({"budget": budget} if budget else {})
        body |= {"webhook": {"endpoint_id": endpoint}} if endpoint else {}
        return str(self._call("POST", "/v1/jobs", json=body)["id"])

    def jobs(self) -> list[JobView]:
        """All jobs, newest first."""
        found: list[JobView] = []
        page: dict[str, Any] = {"has_more": True, "last_id": None}
        while page["has_more"]:
            after = {"after": page["last_id"]} if page["last_id"] else {}
            page = self._call("GET", "/v1/jobs", params={"limit": _PAGE} | after)
            found += page["data"]
        return found

    def in_flight(self, worker_url: str) -> int:
        """How many jobs a worker runs now, by its own metrics."""
        try:
            answer = self._http.get(f"{worker_url}/metrics")
        except httpx2.HTTPError as error:
            raise ApiError(f"the worker at {worker_url} does not answer: {error}") from error
        found = _IN_FLIGHT.search(answer.text)
        return int(float(found[1])) if found else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **options)
            body: dict[str, Any] = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise ApiError(f"{method} {path} was not answered: {type(error).__name__}: {error}") from error
        if answer.is_error:
            raise ApiError(f"{method} {path} was answered {answer.status_code}: {body.get('detail', body)}")
        return body
