import contender_cli
from redis import Redis
from rq import Queue, SimpleWorker, Worker
from rq.worker_pool import WorkerPool

options = contender_cli.worker_options()
kind = {"fork": Worker, "simple": SimpleWorker}[options.variant]
redis = Redis.from_url(options.redis)
queues = [Queue("bench", connection=redis)]
if options.slots > 1:
    pool = WorkerPool(queues, connection=redis, num_workers=options.slots, worker_class=kind)
    pool.start(logging_level="WARNING")
else:
    chosen = {}
    if options.profile == "recover":
        chosen = {"maintenance_interval": 2, "job_monitoring_interval": 2}  # defaults 600, 30
    kind(queues, connection=redis, **chosen).work(logging_level="WARNING")
