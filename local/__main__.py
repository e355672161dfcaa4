"""`python -m local demo` and `python -m local up`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

_USAGE_ERROR = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 all is well, 1 it is not, 2 asked for wrongly, 130 interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        return _run(options)
    except KeyboardInterrupt:  # only before or after the stack, which listens to signals itself
        print(file=sys.stderr)
        return _INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console  # only now: --help is quick, and an early Ctrl-C is caught

    from local import demo, up
    from local.live import Unaffordable
    from shared.errors import SettingsError

    console, errors = Console(), Console(stderr=True)
    try:
        if options.command == "demo":
            wish = demo.Wish(options.jobs, options.live, options.yes, options.model)
            return demo.run(wish, console, errors)
        return up.run(up.Wish(options.live, options.data), console, errors)
    except (SettingsError, Unaffordable) as error:
        errors.print(str(error), highlight=False, markup=False, soft_wrap=True)
        return _USAGE_ERROR


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="The whole stack on this machine.")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="")
    live = "call the real API, with ANTHROPIC_API_KEY; costs money"

    demo = commands.add_parser("demo", help="run jobs of every shipped agent, then stop")
    demo.add_argument("--jobs", type=_positive, metavar="N", help="jobs of each agent (20; 2 with --live)")
    where = demo.add_mutually_exclusive_group()
    where.add_argument("--model", metavar="NAME", help="ask the simulated provider for this model (claude-sonnet-4-6)")
    where.add_argument("--live", action="store_true", help=f"{live}, after it said how much and you agreed")
    demo.add_argument("--yes", action="store_true", help="agree to that beforehand")

    up = commands.add_parser("up", help="start the stack and keep it up until Ctrl-C, which drains it")
    up.add_argument("--live", action="store_true", help=live)
    up.add_argument("--data", type=Path, metavar="FOLDER", help="where jobs are kept (data/)")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
