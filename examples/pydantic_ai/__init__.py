"""A Pydantic-AI agent that runs unchanged in a worker."""
