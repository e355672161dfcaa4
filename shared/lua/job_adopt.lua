-- job_adopt: makes a job that a stock arq client has enqueued one of ours, once a worker has understood it.
-- Safe to repeat.
-- USES job_common job_waking job_fairness
-- KEYS
-- ARGV id spec head_start_ms
-- RETURNS 1, or 0 when it was adopted already or is gone

local job, queue = JOB .. id, queue_of(DEFAULT_TENANT)
if redis.call('EXISTS', job) == 1 or redis.call('EXISTS', ARQ_JOB .. id) == 0 then return 0 end

redis.call('HSET', job, 'spec', spec, 'tenant', DEFAULT_TENANT, 'status', 'queued', 'revision', 1, 'created_ms', now,
           'place', now - head_start_ms)
redis.call('PERSIST', ARQ_JOB .. id)  -- arq lets it vanish after a day; an accepted job does not
redis.call('ZADD', queue, now - head_start_ms, id)
count(DEFAULT_TENANT, 'queued', 1)
rank(DEFAULT_TENANT)
return 1
