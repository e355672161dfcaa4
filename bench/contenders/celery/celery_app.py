import os

from celery import Celery
from job_log import blocking_body

URL = os.environ["BENCH_REDIS"]
LATE = {"task_acks_late": True, "worker_prefetch_multiplier": 1}
QUICK = {"visibility_timeout": 5, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}
BY_PROFILE = {
    "wall": LATE,
    "drain": {"worker_prefetch_multiplier": 64},
    "recover": LATE | {"task_reject_on_worker_lost": True, "broker_transport_options": QUICK},
    "grace": LATE | {"worker_soft_shutdown_timeout": 60},
}

app = Celery("bench", broker=URL, backend=URL)
app.conf.update(result_expires=3600, worker_hijack_root_logger=False)
if os.environ["BENCH_VARIANT"] != "gevent":  # that pool has no hard limit
    app.conf.update(task_time_limit=int(os.environ["BENCH_TIME_LIMIT"]))
app.conf.update(BY_PROFILE.get(os.environ["BENCH_PROFILE"], {}))


@app.task(name="job", bind=True)
def job(self, job, submitted, seconds, input):
    return blocking_body(job, submitted, seconds, attempt=self.request.retries + 1)
