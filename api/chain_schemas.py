"""The chains' part of `/v1/limits`."""

from pydantic import BaseModel, Field


class ChainTargetResource(BaseModel):
    """How a target did with the chain's last calls of it: at most 100, none older than a day. Of a first target that
    is called often only some are kept. What nothing is known of is null."""

    target: str
    calls: int
    success: float | None = Field(description="The share of the calls that were served.")
    latency_ms: int | None = Field(description="Median of those that were served, without the wait at the gate.")
    cost_usd: str | None = Field(description="Mean per call.", examples=["0.001230"])
    tool_calls: int
    tool_calls_valid: float | None = Field(description="The share of tool calls whose name and arguments were right.")
    last_trouble: str | None = Field(description="Why it could not serve the last time that it could not.")


class ChainResource(BaseModel):
    """Targets in the order in which they are asked."""

    chain: str
    targets: list[ChainTargetResource]
    drill_percent: float
    fallback_ready: bool = Field(description="Whether the second target has shown that it can stand in for the first.")
    reason: str = Field(description="Why one may think so, or not.")
