"""Measures this project beside the queues a user would take instead. How: bench/README.md."""
