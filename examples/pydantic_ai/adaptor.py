"""What lies between Pydantic-AI and a worker: its model calls become turns of the job, its tool calls become steps."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai import ModelRetry, RunContext, ToolDefinition, WrapperToolset
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.toolsets import ToolsetTool
from pydantic_ai.usage import RequestUsage

from worker.agents import Context, ModelAnswer

_FINISHED = {"end_turn": "stop", "tool_use": "tool_call", "max_tokens": "length", "refusal": "content_filter"}


def model(context: Context) -> FunctionModel:
    """A Pydantic-AI model whose requests pass the gate and are remembered."""

    async def ask(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        system = [part.content for part in _parts(messages) if isinstance(part, SystemPromptPart)]
        answer = await context.call_model(
            _as_messages(messages),
            system="\n\n".join([*system, *([info.instructions] if info.instructions else [])]),
            tools=[_tool(one) for one in [*info.function_tools, *info.output_tools]],
            max_tokens=(info.model_settings or {}).get("max_tokens"),
        )
        return _as_response(answer)

    return FunctionModel(ask, model_name="sluice")


@dataclass
class RememberedToolset(WrapperToolset[Any]):
    """The tools of another toolset, each call of them a step. `effects` by the tool's name; of others `idempotent`."""

    context: Context
    effects: Mapping[str, Any] = field(default_factory=dict)

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        async def call(arguments: dict[str, Any]) -> dict[str, Any]:
            try:
                return {"returned": await self.wrapped.call_tool(name, arguments, ctx, tool)}
            except ModelRetry as retry:  # an answer to the model, to be remembered as well
                return {"retry": retry.message}

        done = await self.context.step(name, call, tool_args, effect=self.effects.get(name, "idempotent"))
        if "retry" in done:
            raise ModelRetry(done["retry"])
        return done["returned"]


def _parts(messages: Iterable[ModelMessage]) -> Iterable[Any]:
    return (part for message in messages for part in message.parts)


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description or "", "input_schema": tool.parameters_json_schema}


def _as_messages(messages: list[ModelMessage]) -> list[dict[str, Any]]:
    """As the Messages API takes them."""
    found = []
    for message in messages:
        role = "user" if isinstance(message, ModelRequest) else "assistant"
        content = [block for part in message.parts if (block := _block(part))]
        if content:
            found.append({"role": role, "content": content})
    return found


def _block(part: Any) -> dict[str, Any] | None:
    match part:
        case SystemPromptPart():
            return None
        case UserPromptPart(content=str(text)):
            return _text(text)
        case TextPart(content=text):
            return _text(text) if text.strip() else None
        case ToolCallPart():
            return {"type": "tool_use", "id": part.tool_call_id, "name": part.tool_name, "input": part.args_as_dict()}
        case ToolReturnPart():
            result = {"type": "tool_result", "tool_use_id": part.tool_call_id, "content": part.model_response_str()}
            return result | {"is_error": part.outcome != "success"}
        case RetryFeedbackPart():
            return _text(part.model_response())
    raise NotImplementedError(f"this example does not translate {type(part).__name__}")


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _as_response(answer: ModelAnswer) -> ModelResponse:
    parts = [
        TextPart(block["text"])
        if block["type"] == "text"
        else ToolCallPart(block["name"], json.dumps(block["input"]), tool_call_id=block["id"])
        for block in answer.content
        if block["type"] in ("text", "tool_use")
    ]
    usage = RequestUsage(input_tokens=answer.usage.input_tokens, output_tokens=answer.usage.output_tokens)
    return ModelResponse(parts, usage=usage, finish_reason=_FINISHED.get(answer.stop_reason))
