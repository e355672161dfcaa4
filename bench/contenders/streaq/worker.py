import os
import sys
from pathlib import Path

import contender_cli

contender_cli.worker_options()
binary = str(Path(sys.executable).parent / "streaq")
os.execv(binary, [binary, "run", "streaq_app:worker"])  # noqa: S606 - no shell is what is wanted
