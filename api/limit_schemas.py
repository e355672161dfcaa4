"""The bodies of `/v1/limits`."""

from typing import Literal

from pydantic import BaseModel, Field


class BucketResource(BaseModel):
    limit_per_minute: int
    remaining: int = Field(
        description="What may pass at once. A bucket holds some seconds' worth; in debt it is below 0."
    )
    learned: bool = Field(description="Whether the limit was learned from the provider's answers, not configured.")


class WaitingResource(BaseModel):
    """Calls that wait at the gate, by the priority of their jobs."""

    high: int
    standard: int
    low: int


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
    breaker: Literal["closed", "open", "half"]
    retry_at: str | None = Field(description="When calls may pass again, while they may not.")
    pace: float = Field(description="1, or less for a while after refusals.")
    refused: int = Field(description="429s seen.")
    failures: int = Field(description="Overloads, server errors and lost connections seen.")


class LimitList(BaseModel):
    object: Literal["list"]
    data: list[LimitResource]
