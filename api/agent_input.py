"""Whether a job's input is one that its agent takes, by the schema in the catalogue."""

from typing import Any

from pydantic_core import from_json

from api.body import check_value
from api.json_schema import first_complaints
from api.problems import FieldError, Problem, invalid
from shared.catalogue import AgentEntry


def check_input(agent: AgentEntry, given: Any) -> None:
    """Raises the Problem that says what is wrong. What is wrong inside of a text that holds JSON is told with the
    place there, as the pointer of a problem ends at the text."""
    found = [
        FieldError(pointer=f"#/input{at}", detail=said) for at, said in first_complaints(given, agent.input_schema)
    ]
    if not found and "contentSchema" in agent.input_schema:
        found = [
            FieldError(pointer="#/input", detail=f"{said} (at {at} of the JSON)" if at else said)
            for at, said in first_complaints(_json(agent, given), agent.input_schema["contentSchema"])
        ]
    if found:
        raise invalid(*found)


def _json(agent: AgentEntry, text: str) -> Any:
    try:
        value = from_json(text, allow_inf_nan=False)
        check_value(value, text.encode())
    except (ValueError, Problem) as error:
        said = error.detail if isinstance(error, Problem) else str(error)
        detail = f"agent {agent.name} takes a text that holds JSON, which this is not: {said}"
        raise invalid(FieldError(pointer="#/input", detail=detail)) from error
    return value
