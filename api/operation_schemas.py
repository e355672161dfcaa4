"""The bodies of `/v1/queue` and `/v1/workers`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class WaitReasonsResource(BaseModel):
    """Jobs that wait, by the `wait_reason` that each of them shows."""

    capacity: int
    rate_limit: int
    provider_outage: int
    retry_backoff: int
    scheduled: int
    session_busy: int


class TenantResource(BaseModel):
    """How a tenant stands, and what it may have; null is any number."""

    tenant: str
    weight: float = Field(description="Its share of the slots beside others.")
    waiting: int
    max_waiting: int | None
    wait_reasons: WaitReasonsResource
    oldest_waiting_seconds: float | None = Field(
        description="How long the longest of its jobs has waited that could start now, of the three next in turn."
    )
    running: int
    max_running: int | None
    requires_action: int
    submits_per_minute: int | None
    spent_today_usd: str = Field(description="What its jobs have cost since midnight UTC, of turns that have ended.")
    daily_cost_usd: str | None = Field(description="At that submits are refused until `day_ends_at`.")


_REASONS = {
    "capacity": 298,
    "rate_limit": 9,
    "provider_outage": 0,
    "retry_backoff": 1,
    "scheduled": 2,
    "session_busy": 0,
}
_QUEUE: dict[str, Any] = {
    "object": "queue",
    "depth": 310,
    "max_depth": 10_000,
    "wait_reasons": _REASONS,
    "parked": 12,
    "oldest_waiting_seconds": 187.2,
    "running": 64,
    "requires_action": 0,
    "slots": 64,
    "drain_rate_per_second": 1.6,
    "expected_wait_seconds": 194.4,
    "day_ends_at": "2026-02-01T00:00:00.000Z",
    "tenants": [
        {
            "tenant": "acme",
            "weight": 1,
            "waiting": 42,
            "max_waiting": 1000,
            "wait_reasons": _REASONS | {"capacity": 40, "rate_limit": 2, "retry_backoff": 0, "scheduled": 0},
            "oldest_waiting_seconds": 31.5,
            "running": 16,
            "max_running": 100,
            "requires_action": 0,
            "submits_per_minute": 120,
            "spent_today_usd": "12.480000",
            "daily_cost_usd": "50.000000",
        }
    ],
}


class QueueState(BaseModel):
    """The queue of the whole service."""

    model_config = ConfigDict(json_schema_extra={"examples": [_QUEUE]})

    object: Literal["queue"]
    depth: int = Field(description="Jobs that wait, parked ones included.")
    max_depth: int = Field(description="At that submits are answered 429.")
    wait_reasons: WaitReasonsResource
    parked: int = Field(description="Of those that wait, how many are not due: for a time, a pause or a provider.")
    oldest_waiting_seconds: float | None = Field(
        description="How long the longest job has waited that could start now, of each tenant's three next in turn."
    )
    running: int
    requires_action: int
    slots: int = Field(description="How many jobs all living workers can run at once.")
    drain_rate_per_second: float = Field(
        description="Jobs that can end a second: slots by the measured time that a job keeps one; 0 while not known."
    )
    expected_wait_seconds: float | None = Field(
        description="How long a job may wait that comes now, for all that could start before it; null while not known."
    )
    day_ends_at: str = Field(description="When today's costs of all tenants start at 0 again.")
    tenants: list[TenantResource] = Field(description="Your own; for a key with the scope `admin` all there are.")


class RunningJobResource(BaseModel):
    id: str = Field(examples=["job_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"])
    tenant: str
    status: Literal["running", "cancelling"]
    since: str = Field(description="When this worker took it.")


_WORKER: dict[str, Any] = {
    "id": "worker-1:17:5be0cd19",
    "state": "alive",
    "last_sign_of_life_seconds": 0.6,
    "has_watch": True,
    "slots": 32,
    "running": 3,
    "jobs": [
        {
            "id": "job_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d",
            "tenant": "acme",
            "status": "running",
            "since": "2026-01-31T12:00:00.000Z",
        }
    ],
}


class WorkerResource(BaseModel):
    """A worker process."""

    id: str = Field(description="host:pid:random; a process that starts again is a new one.")
    state: Literal["alive", "silent"] = Field(
        description="`silent`: nothing heard of it for 15 seconds, and its jobs have not been given back yet."
    )
    last_sign_of_life_seconds: float | None
    has_watch: bool = Field(description="Whether it is the one that sees to dead workers and to what is due.")
    slots: int = Field(description="How many jobs it can run at once.")
    running: int = Field(description="How many it runs, of all tenants.")
    jobs: list[RunningJobResource] = Field(description="Your own; for a key with the scope `admin` all tenants'.")


class WorkerList(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"object": "list", "data": [_WORKER], "jobs_left_out": False}]}
    )

    object: Literal["list"]
    data: list[WorkerResource]
    jobs_left_out: bool = Field(description="Whether more jobs run than the 4000 that were looked at.")
