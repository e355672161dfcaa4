import asyncio
from datetime import timedelta

import contender_cli
from docket import Worker

options = contender_cli.worker_options()
chosen = {}
url = options.redis
if options.slots:
    chosen["concurrency"] = options.slots
if options.profile != "default":
    contender_cli.use_uvloop()
if options.profile in ("latency", "drain", "wall"):
    chosen["minimum_check_interval"] = timedelta(milliseconds=10)  # default of Worker.run: 100 ms
if options.profile == "recover":
    chosen["redelivery_timeout"] = timedelta(seconds=4)  # default 5 min
if options.profile != "default" and options.slots:
    # redis-py 8 gives a pool at most 100 connections and raises beyond; docket with 100 slots needs more
    url += "?max_connections=4000"
# Worker.run is what the `docket worker` command calls.
asyncio.run(Worker.run(docket_name="bench", url=url, tasks=["docket_app:tasks"], **chosen))
