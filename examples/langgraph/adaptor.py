"""What lies between LangGraph and a worker: its model calls become turns of the job, its tool calls become steps."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.prebuilt import ToolNode
from langgraph.prebuilt.tool_node import ToolCallRequest

from worker.agents import Context


class ContextChatModel(BaseChatModel):
    """A chat model whose calls pass the gate and are remembered."""

    context: Any

    @property
    def _llm_type(self) -> str:
        return "sluice"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        return self.bind(tools=[_tool(one) for one in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("a worker's model calls are async: use ainvoke")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = await self.context.call_model(
            _as_messages(messages),
            system="\n\n".join(message.text for message in messages if isinstance(message, SystemMessage)),
            tools=kwargs.get("tools", ()),
            name=self.name or "model",
        )
        said = AIMessage(
            answer.text,
            tool_calls=[{"name": one["name"], "args": one["input"], "id": one["id"]} for one in answer.tool_calls],
            response_metadata={"stop_reason": answer.stop_reason, "model_name": answer.model},
            usage_metadata={
                "input_tokens": answer.usage.input_tokens,
                "output_tokens": answer.usage.output_tokens,
                "total_tokens": answer.usage.total_tokens,
            },
        )
        return ChatResult(generations=[ChatGeneration(message=said)])


def remembered(context: Context, tools: Sequence[BaseTool], effects: Mapping[str, Any]) -> ToolNode:
    """A node that runs these tools, each call of them a step. `effects` by the tool's name; of others `idempotent`."""

    async def as_step(request: ToolCallRequest, run: Callable[[ToolCallRequest], Awaitable[Any]]) -> ToolMessage:
        name, id = request.tool_call["name"], request.tool_call["id"]

        async def call(arguments: dict[str, Any]) -> dict[str, Any]:
            message = await run(request)
            return {"content": message.content, "status": message.status}

        done = await context.step(name, call, request.tool_call["args"], effect=effects.get(name, "idempotent"))
        return ToolMessage(done["content"], name=name, tool_call_id=id, status=done["status"])

    return ToolNode(tools, awrap_tool_call=as_step)


def _tool(tool: Any) -> dict[str, Any]:
    """As the Messages API takes it."""
    function = convert_to_openai_tool(tool)["function"]
    return {"name": function["name"], "description": function["description"], "input_schema": function["parameters"]}


def _as_messages(messages: list[BaseMessage]) -> list[dict[str, Any]]:
    """As the Messages API takes them: the results of one answer's tool calls in one message."""
    found: list[dict[str, Any]] = []
    for message in messages:
        match message:
            case SystemMessage():
                continue
            case HumanMessage():
                role, content = "user", [{"type": "text", "text": message.text}]
            case AIMessage():
                role, content = "assistant", _said(message)
            case ToolMessage():
                result = {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.text}
                role, content = "user", [result | {"is_error": message.status == "error"}]
            case _:
                raise NotImplementedError(f"this example does not translate {type(message).__name__}")
        if found and found[-1]["role"] == role:
            found[-1]["content"] += content
        else:
            found.append({"role": role, "content": content})
    return found


def _said(message: AIMessage) -> list[dict[str, Any]]:
    text = [{"type": "text", "text": message.text}] if message.text.strip() else []
    calls = [
        {"type": "tool_use", "id": call["id"], "name": call["name"], "input": call["args"]}
        for call in message.tool_calls
    ]
    return text + calls
