"""circles: an agent whose one tool never says anything new."""

from worker.agents import Agent, tool


@tool(effect="read")
def weather(city: str) -> str:
    """Look out of the window."""
    return f"It rains in {city}."


circles = Agent(name="circles", system="You do what tests ask.", tools=[weather])
