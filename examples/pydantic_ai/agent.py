"""trip: the Pydantic-AI agent of `trip.py` as an agent of a worker. Its loop is theirs and unchanged.

Name it in the settings to run it: SLUICE_WORKER__AGENTS='["examples.pydantic_ai.agent"]'
"""

from examples.pydantic_ai import trip
from examples.pydantic_ai.adaptor import RememberedToolset, model
from worker.agents import Budget, Context, agent


@agent(name="pydantic-trip", budget=Budget(max_turns=10))
async def pydantic_trip(context: Context, given: str) -> str:
    """Plans a trip with Pydantic-AI."""
    tools = RememberedToolset(trip.toolset, context, effects={"weather": "read", "reserve": "irreversible"})
    run = await trip.agent.run(given, model=model(context), toolsets=[tools])
    return run.output
