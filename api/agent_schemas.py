"""The body of `/v1/agents`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import BudgetResource

_AGENT: dict[str, Any] = {
    "name": "assistant",
    "version": "1",
    "description": "Answers questions.",
    "model": "default",
    "tools": [{"name": "clock", "description": "The time now."}],
    "budget": {"max_turns": 20, "max_tokens": 100_000, "max_cost_usd": "0.50", "max_seconds": 3600},
}


class AgentResource(BaseModel):
    name: str
    version: str = Field(description="The one announced last; in a deploy workers of two versions run for a while.")
    description: str
    model: str = Field(description="The chain of targets it uses.")
    tools: list[dict[str, str]] = Field(description="Each with its `name` and `description`.")
    budget: BudgetResource = Field(description="What one of its jobs may use at most; a submit may ask for less.")


class AgentList(BaseModel):
    """The agents that workers have announced, by name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"object": "list", "data": [_AGENT]}]})

    object: Literal["list"]
    data: list[AgentResource]
