"""What an agent takes as its job's `input`: a text, messages, or a text that holds JSON for a pydantic model."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

_TEXT = {"type": "string"}
_MESSAGES = {
    "type": "array",
    "description": "Messages of the Messages API.",
    "items": {"type": "object", "required": ["role", "content"]},
}


@dataclass(frozen=True, slots=True)
class InputForm:
    """`model` is that of a structured input, which travels as JSON in a text."""

    text: bool = False
    messages: bool = False
    model: type[BaseModel] | None = None

    @classmethod
    def of(cls, hint: Any) -> "InputForm":
        """From the type hint of a function's `input`. Raises TypeError for one that no job can bring."""
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            return cls(model=hint)
        if hint is Any:
            return ANY_INPUT
        for form, hints in _HINTS:
            if hint in hints:
                return form
        raise TypeError(
            f"the input can be str, list[dict[str, Any]] (messages), either of them, or a pydantic model, not {hint!r}"
        )

    def schema(self) -> dict[str, Any]:
        """JSON Schema of a job's `input`, as the catalogue shows it."""
        if self.model is not None:
            return _TEXT | {"contentMediaType": "application/json", "contentSchema": self.model.model_json_schema()}
        if self.text and self.messages:
            return {"anyOf": [_TEXT, _MESSAGES]}
        return _TEXT if self.text else _MESSAGES

    def read(self, given: str | list[dict[str, Any]]) -> Any:
        """A job's `input` as the function takes it. Raises ValueError that says what is wrong."""
        if self.model is None:
            if self.text if isinstance(given, str) else self.messages:
                return given
            raise ValueError(f"the input must be {'a text' if self.text else 'messages'}")
        if not isinstance(given, str):
            raise ValueError("the input must be a text that holds JSON")
        try:
            return self.model.model_validate_json(given)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            complaints = (f"{'.'.join(map(str, one['loc'])) or 'input'}: {one['msg']}" for one in found)
            raise ValueError(f"the input does not fit the agent: {'; '.join(complaints)}") from error


ANY_INPUT = InputForm(text=True, messages=True)
_HINTS = (
    (InputForm(text=True), (str,)),
    (InputForm(messages=True), (list[dict[str, Any]],)),
    (ANY_INPUT, (str | list[dict[str, Any]],)),
)
