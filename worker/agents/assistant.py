"""assistant: one model, no tools. The smallest agent there is."""

from worker.agents.agent import Agent

assistant = Agent(
    name="assistant",
    description="Answers a question in one turn.",
    system="You are a helpful assistant. Answer briefly and plainly.",
)
