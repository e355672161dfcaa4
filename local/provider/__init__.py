"""A simulated model provider: an HTTP server that speaks the Anthropic Messages API.

Demo, tests and benchmarks go through the real SDK over real HTTP, without a key and without cost:
exact token buckets, rate headers, streaming, tool use, prompt caching, and faults on demand.
`python -m local.provider` starts it; docs/simulated-provider.md tells how to use it.
"""
