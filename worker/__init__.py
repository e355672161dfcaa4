"""The worker: claims jobs, runs their agents turn by turn, buys model calls through the gate."""
