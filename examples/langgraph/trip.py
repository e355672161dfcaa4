"""A LangGraph graph of a model and its tools, as its documentation shows one. Nothing in here knows of Sluice."""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import SystemMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition

SYSTEM = SystemMessage("Plan a short trip. Look at the weather first, reserve a room, then answer in one sentence.")


@tool
async def weather(city: str) -> str:
    """What the weather is like in a city."""
    return f"It is sunny in {city}."


@tool
async def reserve(city: str, nights: int) -> dict[str, Any]:
    """Reserve a room in a city."""
    return {"city": city, "nights": nights, "reservation": f"R-{len(city)}{nights}"}


TOOLS = [weather, reserve]


def graph(model: BaseChatModel, tool_node: ToolNode) -> CompiledStateGraph:
    """The model is asked until it calls no tool any more."""
    bound = model.bind_tools(TOOLS)

    async def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await bound.ainvoke([SYSTEM, *state["messages"]])]}

    built = StateGraph(MessagesState)
    built.add_node("think", think)
    built.add_node("tools", tool_node)
    built.add_edge(START, "think")
    built.add_conditional_edges("think", tools_condition)
    built.add_edge("tools", "think")
    return built.compile()
