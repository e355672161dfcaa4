"""What agents and tools log in a test, for a person to read."""

import structlog


def log_plainly() -> None:
    """Tracebacks without all local variables, unless the test has set up its log by itself."""
    if structlog.is_configured():
        return
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.stdlib.add_log_level, renderer])
