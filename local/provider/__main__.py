import sys

from local.provider.server import serve
from local.provider.settings import parse

if __name__ == "__main__":
    serve(parse(sys.argv[1:]))
