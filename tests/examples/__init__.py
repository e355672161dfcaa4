"""The examples that run a loop of somebody else's, with that installed: `make test-examples`."""
