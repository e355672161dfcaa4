"""Trace context (W3C Trace Context): taken in at the ingress, kept with the job, put around its work.

The spans themselves are made by FastAPI and the Anthropic SDK; here the thread between them is only handed on.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()


def current_traceparent(incoming: str | None = None) -> str | None:
    """The `traceparent` of the current span, else the caller's own if it is a valid one."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    if not carrier and incoming:
        _PROPAGATOR.inject(carrier, _PROPAGATOR.extract({"traceparent": incoming}))
    return carrier.get("traceparent")


@contextmanager
def adopted(traceparent: str | None) -> Iterator[None]:
    """What runs inside belongs to that trace."""
    if traceparent is None:
        yield
        return
    token = context.attach(_PROPAGATOR.extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        context.detach(token)
