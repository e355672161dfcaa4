"""A LangGraph graph that runs unchanged in a worker."""
