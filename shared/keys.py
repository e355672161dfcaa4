"""Every Redis key there is: its type, who writes it, how long it lives.

The `arq:` keys are arq's own format (arq 0.28 `constants.py`), so that arq's `Job.status()` tells the truth
and a stock `enqueue_job` lands here. All others begin with `sluice:`. The keys of one gate share a hash tag,
so that a gate fits into one slot of a Redis Cluster.
"""

DEFAULT_TENANT = "default"
"""Who everybody is while no tenant has a key; its queue is the one that arq's clients use by default."""

JOB_FUNCTION = "run_agent"
"""The name of the arq function that runs a job."""
ARQ_QUEUE = "arq:queue"
"""zset, id -> when it is due (ms); for a job that a worker holds, far off. Every unfinished job of the tenant `default`
is in it."""
ARQ_TENANT_QUEUE = "arq:queue:tenant:"
"""zset per other tenant, the same."""
ARQ_JOB = "arq:job:"
"""string per job, arq's JSON blob; from submit to finish."""
ARQ_IN_PROGRESS = "arq:in-progress:"
"""string per job, the owner; from claim to finish or release."""
ARQ_RESULT = "arq:result:"
"""string per job, arq's JSON result; from finish until retention ends."""
ARQ_RETRY = "arq:retry:"
"""string per job, arq's count of tries; only a stock worker writes it."""

ARQ_HEALTH = "arq:queue:health-check"
"""string, arq's health record, one for all workers; a worker writes it every minute, lives a little longer."""

READY = "sluice:ready"
"""zset, tenant -> its share of the running jobs; tenants that have a job due and may run one more."""
TENANTS = "sluice:tenants"
"""hash, `tenant:weight` and `tenant:max_running` where they are not the usual; while a tenant has unfinished jobs."""
TURNS_TAKEN = "sluice:turns"
"""hash, tenant -> its turns so far by weight, '' -> those of the tenant served last; until no job is unfinished."""
COUNTS = "sluice:counts"
"""hash, `tenant:group` and `:group` -> how many jobs are queued, running (or cancelling), requires_action; a field is
there while it is above zero."""
WAITS = "sluice:waits"
"""hash, `tenant:reason` and `:reason` -> how many unfinished jobs have that `wait_reason` in their records; a field is
there while it is above zero."""
SUBMITS = "sluice:submits:"
"""string per tenant with a limit on submits, when (ms) it may make a whole minute's worth of them again; until then."""
SPENT = "sluice:spent:"
"""hash per day since the epoch (UTC), tenant -> nano-dollars that its jobs cost; lives for two days."""
RESERVED = "sluice:reserved"
"""hash, tenant -> nano-dollars that calls in flight of its jobs may cost at most, of tenants with a limit a day; each
job's part is in its record while a worker holds it; a field is there while it is above zero."""
COSTS = "sluice:costs"
"""hash, agent -> nano-dollars that its last jobs cost, with spaces between, the newest last; lives for 30 days after
the last one."""
LEASES = "sluice:leases"
"""hash, job id -> owner: who may write to the job; from claim to finish, release or the owner's death."""
RETURNING = "sluice:returning"
"""zset, job id -> when a parked or scheduled job is due (ms); it then goes to its place in its queue."""
PARKED = "sluice:parked:"
"""zset per pool, job id -> its place in its queue: jobs that were parked because the pool's provider fails, and some
that have come back since; lives for a day after the last one."""
CANARY = "sluice:canary:"
"""string per pool, the parked job that comes back first, when the provider may be tried again; until then."""
EXPIRING = "sluice:expiring"
"""zset, job id -> when its time to live ends (ms); from submit to its first start."""
DECIDING = "sluice:deciding"
"""zset, job id -> until when it waits for a person (ms); while it is requires_action."""
TENANT_ACTIONS = "sluice:actions:"
"""zset per tenant, `ACTION_ID JOB_ID` of each action that waits for a person, all with score 0; while there is one."""
WAKE = "sluice:wake"
"""list of at most one token; idle workers block on it."""
HELD = "sluice:held:"
"""set per owner, the jobs in LEASES that are its own."""
WORKERS = "sluice:workers"
"""set of the owners that are alive or not yet buried; for ever while jobs are held, else for a day after a sweep."""
ALIVE = "sluice:alive:"
"""string per owner, how many jobs it can run; set anew with a lifetime of a day at each sign of life, so that what is
left of the day tells how long ago that was."""
WATCH = "sluice:watch"
"""string, the owner that has the watch; lives for seconds."""
CLAIMED = "sluice:claimed:"
"""list per owner, the ticket of its last claim that took jobs, and those; lives for a day."""
PACE = "sluice:pace"
"""hash, how fast jobs end: ended, busy_ms (mean time in a slot), slots of all living workers, summed_ms (when they were
summed up); lives for a day."""
JANITOR = "sluice:janitor"
"""string, there while it is too soon to clean up again."""
AGENTS = "sluice:agents"
"""hash, agent name -> JSON of its catalogue entry with `seen_ms`; written by workers twice a minute."""

OUTBOX = "sluice:outbox"
"""zset, host -> when the first delivery of a webhook to it is due (ms); a host is there while it has some."""
OUTBOX_HOST = "sluice:outbox:"
"""zset per host, delivery id -> when it is due (ms); for one under way, when its lease ends."""
OUTBOX_WAKE = "sluice:outbox_wake"
"""list of at most one token; a courier blocks on it."""
DELIVERY = "sluice:delivery:"
"""hash per delivery (see `shared.delivery`); from the event on, and from its end as long as a job is kept, 24 h at
least."""
ATTEMPTS = ":attempts"
"""list of JSON per delivery, its last attempts; lives as long as that."""
TENANT_DELIVERIES = "sluice:deliveries:"
"""zset of delivery ids per tenant, all with score 0, so that those of a job are neighbours; the newest only, and those
that are gone are taken out when others come; lives five days longer than a delivery after the last change."""
ENDPOINT = "sluice:webhook_endpoint:"
"""hash per endpoint (see `shared.endpoints`), its secrets included; until it is deleted."""
TENANT_ENDPOINTS = "sluice:webhook_endpoints:"
"""zset of endpoint ids per tenant, all with score 0; while it has one."""

CHANGES = "sluice:changes"
"""channel, `id revision status` of every change of any job."""
GRANTS = "sluice:gate:grants:"
"""channel prefix, worker -> `CALL_ID MS POOL`: this call of the worker may start in so many ms."""
NEWS = "sluice:news:"
"""channel per api process, `ID` of a job that is followed there and has new events."""
CONTROL = "sluice:control:"
"""channel per worker: `cancel ID` for a job of its own, `follow ID API` when an api process follows the job's events,
`due MS` when it has the watch. That somebody listens there means that its process lives."""

TENANT_JOBS = "sluice:jobs:"
LISTED = "sluice:listed"
"""set of the tenants that have a list of jobs; the janitor takes one out when its list is gone."""
JOB = "sluice:job:"
SESSION = "sluice:session:"
"""What the keys of a session begin with; its tenant and its id follow. A tenant's name has no colon, and each key ends
with one of these, so that no session's key can be another's."""
LINE = ":line"
HISTORY = ":history"
TURNS = ":turns"
NOTES = ":notes"
EVENTS = ":events"
ACTIONS = ":actions"
MAIL = ":mail"
"""hash, message id -> the message as JSON (see `shared.message`), `key:K` -> the id of the message that the
Idempotency-Key K made; those in the record's field `mail` wait to be heard; lives as long as the job."""
PACKED = ":packed"
"""A job's events get this suffix while they are copied into less memory, within one script."""


def job(job_id: str) -> str:
    """hash, the job record (see `shared.job.Job`); from submit until retention ends."""
    return JOB + job_id


def turns(job_id: str) -> str:
    """list of JSON records, append only (see `shared.turn`); lives as long as the job."""
    return JOB + job_id + TURNS


def events(job_id: str) -> str:
    """stream, id `N-0` -> type, at (ms), data (JSON): event number N of the job (see `shared.events`); the oldest are
    dropped above MOST_EVENTS; lives as long as the job."""
    return JOB + job_id + EVENTS


def actions(job_id: str) -> str:
    """hash, action id -> the question as JSON, `ID:lapsed` -> the record of the journal that says that nobody decided
    (while it waits), `ID:decided` -> the decision as JSON (see `shared.action`); lives as long as the job."""
    return JOB + job_id + ACTIONS


def tenant_actions(tenant: str) -> str:
    """See TENANT_ACTIONS."""
    return TENANT_ACTIONS + tenant


def queue(tenant: str) -> str:
    """The queue of a tenant (see ARQ_QUEUE)."""
    return ARQ_QUEUE if tenant == DEFAULT_TENANT else ARQ_TENANT_QUEUE + tenant


def tenant_jobs(tenant: str) -> str:
    """zset of job ids, all with score 0 so that it is in id order; ids of removed jobs are swept out by the janitor,
    and the list is gone when the last job's retention is over."""
    return TENANT_JOBS + tenant


def idempotency(tenant: str, key: str) -> str:
    """hash, the job id and the body's fingerprint; lives as long as the job and at least 24 h."""
    return f"sluice:idempotency:{tenant}:{key}"


def job_notes(job_id: str) -> str:
    """hash, title -> text: the scratchpad of a job without a session; lives as long as the job."""
    return JOB + job_id + NOTES


def session_line(tenant: str, session_id: str) -> str:
    """zset, job id -> a number that grows: the unfinished jobs of a session that are not scheduled for later, the live
    one first; while there is one."""
    return f"{SESSION}{tenant}:{session_id}{LINE}"


def session_history(tenant: str, session_id: str) -> str:
    """list of JSON, one for each job that has ended (see `shared.history`), the oldest first; while the session has a
    line, and then until it has been idle for long."""
    return f"{SESSION}{tenant}:{session_id}{HISTORY}"


def session_notes(tenant: str, session_id: str) -> str:
    """hash, title -> text: the scratchpad of a session; lives as long as its history."""
    return f"{SESSION}{tenant}:{session_id}{NOTES}"


def delivery(delivery_id: str) -> str:
    """See DELIVERY."""
    return DELIVERY + delivery_id


def delivery_attempts(delivery_id: str) -> str:
    """See ATTEMPTS."""
    return DELIVERY + delivery_id + ATTEMPTS


def tenant_deliveries(tenant: str) -> str:
    """See TENANT_DELIVERIES."""
    return TENANT_DELIVERIES + tenant


def endpoint(tenant: str, endpoint_id: str) -> str:
    """See ENDPOINT. The tenant is in the key, so nobody reaches another one's."""
    return f"{ENDPOINT}{tenant}:{endpoint_id}"


def tenant_endpoints(tenant: str) -> str:
    """See TENANT_ENDPOINTS."""
    return TENANT_ENDPOINTS + tenant


def gate_state(pool: str) -> str:
    """string, MessagePack of a pool's levels, turns and breaker; lives a day after its last use."""
    return f"sluice:gate:{{{pool}}}:books"


def gate_line(pool: str, name: str) -> str:
    """zset, call id -> its place among those that wait in this class; lives a day after its last use."""
    return f"sluice:gate:{{{pool}}}:line:{name}"


def gate_waiting(pool: str) -> str:
    """hash, call id -> MessagePack of a call that waits; lives a day after its last use."""
    return f"sluice:gate:{{{pool}}}:waiting"


def gate_tenants(pool: str) -> str:
    """hash, tenant -> how many of its calls wait; a field is there while it is above zero; lives a day after its last
    use."""
    return f"sluice:gate:{{{pool}}}:tenants"


def gate_calls(pool: str) -> str:
    """hash, call id -> MessagePack of a call in flight, from its grant to its end; lives a day after its last use."""
    return f"sluice:gate:{{{pool}}}:flying"


def gate_tags(pool: str) -> str:
    """hash, class:tenant -> the place of its next call and of its last in line, two little-endian doubles; lives a day
    after its last use."""
    return f"sluice:gate:{{{pool}}}:starts"


def gate_holders(pool: str) -> str:
    """zset, worker -> its last sign of life (ms); lives a day after its last use."""
    return f"sluice:gate:{{{pool}}}:holders"


def gate(pool: str) -> dict[str, str]:
    """The keys that every script of a gate takes, by its names for them."""
    return {
        "state": gate_state(pool),
        "high": gate_line(pool, "high"),
        "standard": gate_line(pool, "standard"),
        "low": gate_line(pool, "low"),
        "waiting": gate_waiting(pool),
        "tenants": gate_tenants(pool),
        "calls": gate_calls(pool),
        "tags": gate_tags(pool),
        "holders": gate_holders(pool),
    }


def gate_adopted(pool: str, call_id: str) -> str:
    """string per call that passed while Redis was away, once it is in the books; lives for ten minutes."""
    return f"sluice:gate:{{{pool}}}:adopted:{call_id}"


def gate_estimates(pool: str) -> str:
    """hash, agent -> MessagePack of what its calls cost so far; lives a day after its last use."""
    return f"sluice:gate:{{{pool}}}:learned"


def chain_calls(chain: str, target: str) -> str:
    """list, the last calls of a target in a chain, newest first (see `shared.chain_scores`); lives a day."""
    return f"sluice:chain:{chain}:{target}"


def probe(target: str) -> str:
    """string, JSON of what the last look at the target's provider saw; lives for seconds."""
    return f"sluice:probe:{target}"
