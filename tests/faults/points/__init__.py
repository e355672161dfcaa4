"""A worker killed at each point of a job, before and after everything it writes or does."""
