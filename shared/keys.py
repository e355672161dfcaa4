"""Every Redis key there is: its type, who writes it, how long it lives.

The `arq:` keys are arq's own format (arq 0.28 `constants.py`), so that arq's `Job.status()` tells the truth
and a stock `enqueue_job` lands here. All others begin with `sluice:`. The keys of one gate share a hash tag,
so that a gate fits into one slot of a Redis Cluster.
"""

ARQ_QUEUE = "arq:queue"
"""zset, id -> when it is due (ms); for a leased job that is when its lease ends. Every unfinished job is in it."""
ARQ_JOB = "arq:job:"
"""string per job, arq's JSON blob; from submit to finish."""
ARQ_IN_PROGRESS = "arq:in-progress:"
"""string per job, the owner; lives as long as the lease."""
ARQ_RESULT = "arq:result:"
"""string per job, arq's JSON result; from finish until retention ends."""
ARQ_RETRY = "arq:retry:"
"""string per job, arq's count of tries; only a stock worker writes it."""

ARQ_HEALTH = "arq:queue:health-check"
"""string, arq's health record, one for all workers; a worker writes it every minute, lives a little longer."""

LEASES = "sluice:leases"
"""hash, job id -> owner; from claim to finish or release, so a lapsed lease still names the worker that died."""
RETURNING = "sluice:returning"
"""zset, job id -> when a leased or parked job is due again (ms); it then goes back to its old place in the queue."""
ALIVE = "sluice:alive"
"""string, when a worker last claimed or renewed (ms): a gap means that Redis was away; lives for a day."""
WAKE = "sluice:wake"
"""list of at most one token; idle workers block on it."""
DRAIN = "sluice:drain"
"""hash, how fast jobs end: count (decayed), at, since; never removed, one for all."""
AGENTS = "sluice:agents"
"""hash, agent name -> JSON of its catalogue entry with `seen_ms`; written by workers twice a minute."""

CHANGES = "sluice:changes"
"""channel, `id revision status` of every change of any job."""
CONTROL = "sluice:control:"
"""channel per worker, the id of a job of its own that is to be cancelled."""

JOB = "sluice:job:"
TURNS = ":turns"
NOTES = ":notes"


def job(job_id: str) -> str:
    """hash, the job record (see `shared.job.Job`); from submit until retention ends."""
    return JOB + job_id


def turns(job_id: str) -> str:
    """list of JSON records, append only (see `shared.turn`); lives as long as the job."""
    return JOB + job_id + TURNS


def tenant_jobs(tenant: str) -> str:
    """zset of job ids, all with score 0 so that it is in id order; ids of removed jobs leave it in time."""
    return f"sluice:tenant:{tenant}:jobs"


def idempotency(tenant: str, key: str) -> str:
    """hash, the job id and the body's fingerprint; lives as long as the job and at least 24 h."""
    return f"sluice:idempotency:{tenant}:{key}"


def job_notes(job_id: str) -> str:
    """hash, title -> text: the scratchpad of a job without a session; lives as long as the job."""
    return JOB + job_id + NOTES


def session_notes(tenant: str, session_id: str) -> str:
    """hash, title -> text: the scratchpad of a session; lives until the session is idle."""
    return f"sluice:session:{tenant}:{session_id}:notes"


def gate_state(pool: str) -> str:
    """hash, the levels of a pool's buckets and what was learned of its limits; lives a day after its last use."""
    return f"sluice:gate:{{{pool}}}:state"


def gate_calls(pool: str) -> str:
    """zset, call id -> when its lease ends (ms): the calls in flight; lives a day after its last use."""
    return f"sluice:gate:{{{pool}}}:calls"


def gate_bookings(pool: str) -> str:
    """hash, call id -> JSON of what was booked for it, from reserve to settle; lives a day after its last use."""
    return f"sluice:gate:{{{pool}}}:bookings"


def gate_estimates(pool: str) -> str:
    """hash, what calls cost so far, per agent; lives a day after its last use."""
    return f"sluice:gate:{{{pool}}}:estimates"


def probe(target: str) -> str:
    """string, JSON of what the last look at the target's provider saw; lives for seconds."""
    return f"sluice:probe:{target}"
