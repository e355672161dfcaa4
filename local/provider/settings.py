"""What can be set, as command line flags and nothing else."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The defaults make a demo that is lively but quick."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes any free port; the first line on stdout tells which."""
    requests_per_minute: float = 4_000
    input_tokens_per_minute: float = 2_000_000
    output_tokens_per_minute: float = 400_000
    burst: float = 1.0
    """Bucket capacity as a fraction of the limit per minute."""
    charge_refused: bool = False
    """Whether a 429 costs a request as well."""
    max_connections: int | None = None
    """Calls answered at once; None is no cap."""
    latency: float = 0.15
    """Seconds to the first token."""
    tokens_per_second: float = 400
    seed: int = 0
    """Another seed, other answers."""
    models: tuple[str, ...] = ()
    """Models known besides those in models.py."""
    watch_stdin: bool = False
    """End when standard input is closed, so as not to outlive the process that started this one."""


def parse(arguments: Sequence[str]) -> Settings:
    """Flags to settings. Ends the process with status 2 and a usage line when they are wrong."""
    values = vars(_parser().parse_args(arguments))
    return Settings(**{**values, "models": tuple(values["models"])})


def _parser() -> argparse.ArgumentParser:
    default = Settings()
    parser = argparse.ArgumentParser(prog="python -m local.provider", description="A simulated model provider.")
    add = parser.add_argument
    add("--host", default=default.host, help="address to listen on (%(default)s)")
    add("--port", type=int, default=default.port, help="port to listen on; 0 takes any free one (%(default)s)")
    for limit in ("requests", "input-tokens", "output-tokens"):
        name = f"{limit.replace('-', '_')}_per_minute"
        add(f"--{limit}-per-minute", type=_positive, default=getattr(default, name), metavar="N",
            help="limit of each model (%(default)s)")  # fmt: skip
    add("--burst", type=_positive, default=default.burst, metavar="FRACTION",
        help="bucket capacity as a fraction of the limit per minute (%(default)s)")  # fmt: skip
    add("--charge-refused", action="store_true", help="let a 429 cost a request")
    add("--max-connections", type=int, metavar="N", help="calls answered at once (no cap)")
    add("--latency", type=_not_negative, default=default.latency, metavar="SECONDS",
        help="time to the first token (%(default)s)")  # fmt: skip
    add("--tokens-per-second", type=_positive, default=default.tokens_per_second, metavar="N",
        help="speed of the output (%(default)s)")  # fmt: skip
    add("--seed", type=int, default=default.seed, help="another seed, other answers (%(default)s)")
    add("--model", dest="models", action="append", default=[], metavar="NAME", help="one more known model")
    add("--watch-stdin", action="store_true", help="end when standard input is closed")
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("must be greater than 0")
    return number


def _not_negative(text: str) -> float:
    number = float(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number
