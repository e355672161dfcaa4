"""Questions to persons, as `/docs` shows them and as they are sent."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.action import ANSWERS, LONGEST_COMMENT, Action, ActionKind, ActionStatus, Decision
from shared.clock import rfc3339

Comment = Annotated[str, Field(min_length=1, max_length=LONGEST_COMMENT)]


class DecisionRequest(BaseModel):
    """What you say to an action: `approve`, `deny` or `edit` to an `approval`, `done` or `not_done` to an `outcome`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    decision: Literal["approve", "deny", "edit", "done", "not_done"]
    input: Annotated[dict[str, Any] | None, Field(description="With `edit`: what the tool gets in place of it.")] = None
    comment: Annotated[Comment | None, Field(description="Told to the model, and kept with the decision.")] = None
    result: Annotated[
        Any,
        Field(description="With `done`: what was found of it, JSON. The model is told, or the step returns it."),
    ] = None

    @model_validator(mode="after")
    def _what_belongs_to_it(self) -> Self:
        if (self.decision == "edit") != (self.input is not None):
            raise ValueError("input is given with edit, and only with that")
        if self.decision != "done" and self.result is not None:
            raise ValueError("result is given with done, and only with that")
        return self


class ActionLinks(BaseModel):
    decide: str
    job: str


class ActionResource(BaseModel):
    """A question to a person about one tool call, or one step of a custom agent. The job goes on when all that it asks
    are decided."""

    id: str
    object: Literal["action"]
    job_id: str
    agent: str
    kind: ActionKind = Field(
        description="`approval`: may this call run? `outcome`: it was begun and must not run twice; has it happened?"
    )
    status: ActionStatus = Field(
        description="`expired`: nobody decided in time. `withdrawn`: the job ended before anybody decided."
    )
    turn: int
    tool_call_id: str = Field(description="Of a step: its name and number, such as `pay/1`.")
    tool: str = Field(description="Of a step: its name.")
    effect: str
    input: dict[str, Any] = Field(description="What the tool would get, or the step's arguments.")
    input_schema: dict[str, Any] = Field(description="JSON schema of the tool's input, which an edited one must fit.")
    note: str | None = Field(description="What there is to know beside that, such as how its outcome got lost.")
    decisions: list[Decision] = Field(description="What you may say to it.")
    created_at: str
    expires_at: str
    decided_at: str | None
    decision: Decision | None
    edited_input: dict[str, Any] | None
    comment: str | None
    result: Any = Field(description="What a person has found of something done, JSON.")
    links: ActionLinks


class ActionList(BaseModel):
    """What waits for a person, newest first."""

    object: Literal["list"]
    data: list[ActionResource]
    has_more: bool
    first_id: str | None
    last_id: str | None


def action_resource(action: Action) -> dict[str, Any]:
    """The action as `ActionResource` describes it."""
    asked, answer, job = action.asked, action.answer, f"/v1/jobs/{action.asked.job_id}"
    return {
        "id": asked.id,
        "object": "action",
        "job_id": asked.job_id,
        "agent": asked.agent,
        "kind": asked.kind,
        "status": action.status,
        "turn": asked.turn,
        "tool_call_id": asked.tool_call_id,
        "tool": asked.tool,
        "effect": asked.effect,
        "input": asked.input,
        "input_schema": asked.input_schema,
        "note": asked.note,
        "decisions": list(ANSWERS[asked.kind]),
        "created_at": rfc3339(action.asked_ms),
        "expires_at": rfc3339(action.expires_ms),
        "decided_at": rfc3339(action.decided_ms),
        "decision": answer.decision if answer else None,
        "edited_input": answer.input if answer else None,
        "comment": answer.comment if answer else None,
        "result": answer.result if answer else None,
        "links": {"decide": f"{job}/actions/{asked.id}", "job": job},
    }
