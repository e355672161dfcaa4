"""`curl` for machines that have none: what the docs use of it, by httpx2. `tests.typed` puts it in its place."""

import argparse
import sys
from pathlib import Path

import httpx2

_FORM = "application/x-www-form-urlencoded"


def main() -> int:
    given = _parsed(sys.argv[1:])
    headers = {name.strip(): value.strip() for name, _, value in (header.partition(":") for header in given.header)}
    body = None
    if given.data is not None:
        body = _body(given.data)
        headers = {"Content-Type": _FORM} | headers
    method = given.request or ("GET" if body is None else "POST")
    with (
        httpx2.Client(trust_env=False, timeout=90) as client,
        client.stream(method, given.url, headers=headers, content=body) as answer,
    ):
        if given.include:
            head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
            sys.stdout.buffer.write(f"HTTP/1.1 {answer.status_code}\r\n{head}\r\n".encode())
        for chunk in answer.iter_bytes():
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
    if given.write_out:
        sys.stdout.flush()
        sys.stdout.write(given.write_out.replace("\\n", "\n").replace("%{http_code}", str(answer.status_code)))
    return 0


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="curl", allow_abbrev=False)
    for flag in ("-s", "-S", "-N"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("-i", dest="include", action="store_true")
    parser.add_argument("-X", dest="request")
    parser.add_argument("-H", dest="header", action="append", default=[])
    parser.add_argument("-d", dest="data")
    parser.add_argument("-w", dest="write_out")
    parser.add_argument("url")
    return parser.parse_args(arguments)


def _body(data: str) -> bytes:
    """Of a file, too, whose line breaks curl leaves out."""
    if data.startswith("@"):
        data = Path(data[1:]).read_text("utf-8").replace("\r", "").replace("\n", "")
    return data.encode()


if __name__ == "__main__":
    sys.exit(main())
