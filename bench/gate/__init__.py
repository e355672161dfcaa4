"""The gate beside what others put in front of a provider: eight real workers, one key, and what happens to it.

`scenarios.py` says what happens, `trial.py` makes it happen to one contender, `reckoning.py` turns what the provider's
books and the callers wrote down into figures.
"""
