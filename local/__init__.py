"""The one-machine stack: a private Redis, the simulated provider, and what starts them.

Nothing in api/ or worker/ knows that this folder exists.
"""
