import os
import sys
from pathlib import Path

import contender_cli

options = contender_cli.worker_options()
here = Path(__file__).parent
binary = str(Path(sys.executable).parent / "taskiq")
command = [binary, "worker", "taskiq_app:broker", "--workers", "1", "--log-level", "WARNING", "--app-dir", str(here)]
if options.slots:
    command += ["--max-async-tasks", str(options.slots)]
if options.profile == "drain":
    command += ["--max-prefetch", "100"]
if options.profile == "grace":
    command += ["--wait-tasks-timeout", "60", "--shutdown-timeout", "65"]
os.execv(binary, command)  # noqa: S606 - no shell is what is wanted
