import os
import sys
from pathlib import Path

import contender_cli

options = contender_cli.worker_options()
binary = str(Path(sys.executable).parent / "dramatiq")
command = [binary, "dramatiq_app", "-p", "1", "--path", str(Path(__file__).parent)]
if options.slots:
    command += ["-t", str(options.slots)]
if options.profile == "latency":
    # The longest sleep between two empty fetches, default 1000 ms. Each thread wakes at this pace too, so with
    # hundreds of threads 10 ms would take the whole machine.
    os.environ["dramatiq_worker_timeout"] = "10"  # noqa: SIM112 - its own spelling
if options.profile == "wall" and options.slots:
    os.environ["dramatiq_queue_prefetch"] = str(options.slots)  # noqa: SIM112 - default 2 × threads
os.execv(binary, command)  # noqa: S606 - no shell is what is wanted
