"""All measurements of the queue, in the order in which a repeat makes them."""

from bench.measurement import Measurement
from bench.measurements import (
    crash,
    drain,
    enqueue,
    http_latency,
    idle,
    in_flight,
    ingress,
    live_long,
    sigterm,
    waiting,
    wall,
)

ALL: tuple[Measurement, ...] = (
    enqueue.SINGLE,
    enqueue.BULK,
    drain.DRAIN,
    wall.WALL,
    idle.IDLE,
    http_latency.HTTP_LATENCY,
    ingress.INGRESS,
    crash.CRASH,
    crash.FREEZE,
    live_long.LIVE_LONG,
    sigterm.SIGTERM,
    waiting.WAITING,
    in_flight.IN_FLIGHT,
)
BY_NAME = {one.name: one for one in ALL}
