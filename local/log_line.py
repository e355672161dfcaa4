"""A log line of a child, for a person."""

from typing import Any

_LEFT_OUT = ("event", "level", "timestamp", "tenant", "exception")


def readable(line: dict[str, Any]) -> str:
    """`{"event": "job_finished", "status": "succeeded", …}` → `job_finished status=succeeded`."""
    if "event" not in line:
        return str(line.get("text", ""))
    rest = [f"{name}={value}" for name, value in line.items() if name not in _LEFT_OUT and value is not None]
    trace = [str(line["exception"])] if "exception" in line else []
    return "\n".join([" ".join([str(line["event"]), *rest]), *trace])
