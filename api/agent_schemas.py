"""The body of `/v1/agents`."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from api.schemas import BudgetResource
from shared.catalogue import AgentEntry


class AgentToolResource(BaseModel):
    """A tool that its model may call, as the Messages API takes it, and what a call does."""

    name: str
    description: str
    input_schema: dict[str, Any] = Field(default={}, description="JSON Schema of the arguments.")
    effect: Literal["read", "idempotent", "compensable", "irreversible"] | None = Field(
        default=None,
        description="What may be done when a crash hides whether a call ran: `read` and `idempotent` may run again.",
    )
    approval: Literal["never", "always", "rule"] | None = Field(
        default=None, description="Whether a person is asked before it runs; `rule`: it depends on the arguments."
    )
    timeout_seconds: float | None = None


class AgentResource(BaseModel):
    name: str
    version: str = Field(description="The one announced last; in a deploy workers of two versions run for a while.")
    kind: Literal["declared", "custom"] = Field(
        description="`declared`: a prompt and tools. `custom`: a function of its own, which says itself what it asks."
    )
    description: str
    model: str = Field(description="The chain of targets it uses.")
    input_schema: dict[str, Any] = Field(
        description="JSON Schema of what a job's `input` may be. Where that is a text with the media type "
        "`application/json`, `contentSchema` is the schema of the JSON in it. Another input is answered 422."
    )
    tools: list[AgentToolResource]
    budget: BudgetResource = Field(description="What one of its jobs may use at most; a submit may ask for less.")


class AgentList(BaseModel):
    """The agents that workers have announced, by name."""

    object: Literal["list"]
    data: list[AgentResource]


def agent_resource(entry: AgentEntry) -> AgentResource:
    return AgentResource.model_validate(
        {
            "name": entry.name,
            "version": entry.version,
            "kind": entry.kind,
            "description": entry.description,
            "model": entry.chain,
            "input_schema": entry.input_schema,
            "tools": entry.tools,
            "budget": entry.budget,
        }
    )
