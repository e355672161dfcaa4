"""This project's queue as a contender, without HTTP, models and agents."""
