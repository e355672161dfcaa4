"""trip: the LangGraph graph of `trip.py` as an agent of a worker. Its loop is theirs and unchanged.

Name it in the settings to run it: SLUICE_WORKER__AGENTS='["examples.langgraph.agent"]'
"""

from examples.langgraph import trip
from examples.langgraph.adaptor import ContextChatModel, remembered
from worker.agents import Budget, Context, agent


@agent(name="langgraph-trip", budget=Budget(max_turns=10))
async def langgraph_trip(context: Context, given: str) -> str:
    """Plans a trip with LangGraph."""
    tools = remembered(context, trip.TOOLS, effects={"weather": "read", "reserve": "irreversible"})
    graph = trip.graph(ContextChatModel(context=context), tools)
    state = await graph.ainvoke({"messages": [("user", given)]})
    return state["messages"][-1].text
