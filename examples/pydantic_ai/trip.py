"""A Pydantic-AI agent as its documentation shows one. Nothing in here knows of Sluice."""

from pydantic_ai import Agent, FunctionToolset, ModelRetry

toolset = FunctionToolset[None]()

agent = Agent(
    instructions="Plan a short trip. Look at the weather first, reserve a room, then answer in one sentence.",
    output_type=str,
)


@toolset.tool_plain
async def weather(city: str) -> str:
    """What the weather is like in a city."""
    if not city.strip():
        raise ModelRetry("name a city")
    return f"It is sunny in {city}."


@toolset.tool_plain
async def reserve(city: str, nights: int) -> dict[str, object]:
    """Reserve a room in a city."""
    return {"city": city, "nights": nights, "reservation": f"R-{len(city)}{nights}"}
