"""Makes a bearer key: `python -m api keygen > key`. The key is printed once, and is kept nowhere."""

import argparse
import hashlib
import secrets
import string
import sys
from collections.abc import Sequence

from api.auth import KEY_PREFIX
from shared.sections import USUAL_SCOPES, Scope

_ALPHABET = string.ascii_letters + string.digits  # a double click selects it whole
_LENGTH = 43  # 256 bits


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "keygen",
        help="make a key for a tenant",
        description="Prints a new key to stdout, and what to put into the settings file to stderr: with `> FILE` or "
        "`| COMMAND` the key is never on a screen.",
    )
    parser.add_argument("--tenant", default="NAME", help="whose key it is")
    parser.add_argument("--name", default="main", help="what the key is called in the settings")
    parser.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        type=Scope,
        choices=list(Scope),
        metavar="|".join(Scope),
        help="what it is good for, may be given several times; submit and read if not given",
    )


def run(tenant: str, name: str, scopes: Sequence[Scope] | None) -> int:
    key = new_key()
    print(key, flush=True)
    print(_lines(key, tenant, name, scopes or USUAL_SCOPES), file=sys.stderr)
    return 0


def new_key() -> str:
    return KEY_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def _lines(key: str, tenant: str, name: str, scopes: Sequence[Scope]) -> str:
    digest = f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    listed = ", ".join(f'"{scope}"' for scope in dict.fromkeys(scopes))
    return "\n".join(
        [
            "# The key stands above, or where you sent it, and nowhere else. Into the settings file of the api:",
            f"[tenants.{tenant}.keys.{name}]",
            f'digest = "{digest}"',
            f"scopes = [{listed}]",
        ]
    )
