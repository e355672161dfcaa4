"""A log line of a child, for a person."""

from typing import Any

_LEFT_OUT = ("event", "level", "timestamp", "tenant", "exception", "logger", "job", "agent")


def readable(line: dict[str, Any]) -> str:
    """`18:12:16  job_finished  weather  status=succeeded  job_01…`; what is no log line of ours stays as it is."""
    if "event" not in line:
        return str(line.get("text", ""))
    rest = [f"{name}={value}" for name, value in line.items() if name not in _LEFT_OUT and value is not None]
    parts = [line.get("timestamp", "")[11:19], line["event"], line.get("agent"), " ".join(rest), line.get("job")]
    trace = [str(line["exception"])] if "exception" in line else []
    return "\n".join(["  ".join(str(part) for part in parts if part), *trace])
