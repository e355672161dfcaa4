"""`python -m bench queue` and `python -m bench gate`; the Makefile calls both."""

import sys

from bench import commands

if __name__ == "__main__":
    sys.exit(commands.main())
