import os
import sys
from pathlib import Path

import contender_cli

options = contender_cli.worker_options()
binary = str(Path(sys.executable).parent / "celery")
name = f"w{os.getpid()}@%h"
command = [binary, "-A", "celery_app", "worker", "-P", options.variant, "-l", "WARNING", "-n", name]
if options.slots:
    command += ["-c", str(options.slots)]
if options.profile in ("latency", "drain", "wall"):
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
os.execv(binary, command)  # noqa: S606 - no shell is what is wanted
