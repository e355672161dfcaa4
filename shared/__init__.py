"""The words that api and worker both use, and the stores through which both talk to Redis."""
