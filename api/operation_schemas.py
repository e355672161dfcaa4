"""The bodies of `/v1/queue` and `/v1/workers`."""

from typing import Literal

from pydantic import BaseModel, Field


class WaitReasonsResource(BaseModel):
    """Jobs that wait, by the `wait_reason` that each of them shows."""

    capacity: int
    rate_limit: int
    provider_outage: int
    retry_backoff: int
    scheduled: int
    session_busy: int
    tenant_budget: int
    tool_server: int


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
    daily_cost_usd: str | None = Field(
        description="At that no more is spent until `day_ends_at`: submits are refused, jobs wait."
    )


class QueueState(BaseModel):
    """The queue of the whole service."""

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
    """The workers that live, or whose jobs have not been given back yet."""

    object: Literal["list"]
    data: list[WorkerResource]
    jobs_left_out: bool = Field(description="Whether more jobs run than the 4000 that were looked at.")
