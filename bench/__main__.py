"""`python -m bench install` and `python -m bench queue`; the Makefile calls both."""

import sys

from bench import commands

if __name__ == "__main__":
    sys.exit(commands.main())
