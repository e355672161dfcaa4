"""The bodies of `/v1/limits`."""

from typing import Literal

from pydantic import BaseModel, Field

from api.chain_schemas import ChainResource


class BucketResource(BaseModel):
    """One of the things that the provider limits per minute. Limits flow in evenly, as 60 a minute is one a second."""

    limit_per_minute: int
    configured_per_minute: int
    learned: bool = Field(description="Whether the limit is what the provider's answers said, else the configured one.")
    capacity: int = Field(
        description="The most that is ever left at once: some seconds' worth, less for a while after a refusal that "
        "was not expected."
    )
    remaining: int = Field(description="What is left now; in debt it is below 0.")
    reserved: int = Field(
        description="For calls in flight. Requests and input tokens: what was taken for them, to be corrected by what "
        "they used when they end. Output tokens: what they are expected still to say, not taken yet."
    )
    used_last_minute: int = Field(
        description="By calls through this gate, as far as is known: of calls in flight what was taken for them, since "
        "then what the provider counted. In slots of ten seconds, of the oldest a part."
    )


class WaitingResource(BaseModel):
    """Calls that wait in line, by the priority of their jobs. Jobs that are parked have left the line."""

    total: int
    high: int
    standard: int
    low: int
    tenants: int = Field(description="How many tenants they belong to.")
    by_tenant: dict[str, int] = Field(description="Your own; for a key with the scope `admin` those of all.")


class ExpectedWaitResource(BaseModel):
    """How long a call that comes now may wait, roughly, by priority."""

    high: float
    standard: float
    low: float


class LimitResource(BaseModel):
    """What the provider meters together."""

    pool: str
    targets: list[str]
    requests: BucketResource
    input_tokens: BucketResource
    output_tokens: BucketResource
    in_flight: int
    max_in_flight: int = Field(description="Smaller than configured for a while after an outage.")
    waiting: WaitingResource
    expected_wait_seconds: ExpectedWaitResource
    held_up_by: Literal["breaker", "retry_after", "in_flight", "requests", "input_tokens", "output_tokens"] | None = (
        Field(
            description="Why calls wait. `breaker`: the provider failed several times. `retry_after`: it asked all to "
            "stay away for a while. `in_flight`: as many calls are in flight as may be. Else what the next in line "
            "waits for the longest. null when nothing holds calls up."
        )
    )
    breaker: Literal["closed", "open", "half"] = Field(
        description="`open`: nobody calls. `half`: one call tries whether the provider is back."
    )
    retry_at: str | None = Field(description="When calls may pass again, while they may not.")
    retry_in_seconds: float | None = Field(description="The same from now on.")
    pace: float = Field(description="1, or less for a while after refusals: the share of the limits that is used.")
    answer_tokens_per_second: float | None = Field(
        description="How fast a single answer comes, as learned from those before; null before the first."
    )
    refused: int = Field(description="429s seen.")
    refused_last_minute: int
    failures: int = Field(description="Overloads, server errors and lost connections seen.")


class LimitList(BaseModel):
    """What the providers limit, and how the chains over them do."""

    object: Literal["list"]
    data: list[LimitResource]
    chains: list[ChainResource]
