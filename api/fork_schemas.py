"""Forks and retries, as `/docs` shows them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.message_schemas import Content
from api.schemas import BudgetRequest, Metadata
from api.turn_schemas import LARGEST_TURN


class RetryRequest(BaseModel):
    """What is to be different this time. What is left out is as it was."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    message: Annotated[Content | None, Field(description="Said to the agent before it goes on.")] = None
    budget: Annotated[BudgetRequest, Field(description="Limits of what the new job does itself.")] = BudgetRequest()
    metadata: Annotated[Metadata | None, Field(description="In place of the old job's.")] = None


class ForkRequest(RetryRequest):
    """Where the new job goes on, and what is to be different."""

    from_turn: Annotated[int, Field(ge=1, le=LARGEST_TURN, description="The last turn that it has in common.")]
