-- job_adopt: makes a job that a stock arq client has enqueued one of ours, once a worker has understood it.
-- Safe to repeat.
-- USES job_common job_waking job_fairness job_sessions
-- KEYS
-- ARGV id spec head_start_ms session
--   session   see job_sessions, or '' for none
-- RETURNS 1, or 0 when it was adopted already or is gone

local job, queue = JOB .. id, queue_of(DEFAULT_TENANT)
if redis.call('EXISTS', job) == 1 or redis.call('EXISTS', ARQ_JOB .. id) == 0 then return 0 end

redis.call('HSET', job, 'spec', spec, 'tenant', DEFAULT_TENANT, 'status', 'queued', 'revision', 1, 'created_ms', now,
           'place', now - head_start_ms)
redis.call('PERSIST', ARQ_JOB .. id)  -- arq lets it vanish after a day; an accepted job does not
if session ~= '' then redis.call('HSET', job, 'session', session) end
count(DEFAULT_TENANT, 'queued', 1)
local new = {id = id, key = job, tenant = DEFAULT_TENANT, queue = queue, session = session ~= '' and session}
if goes_ahead(new) then redis.call('ZADD', queue, now - head_start_ms, id) else hold_back(new) end
rank(DEFAULT_TENANT)
return 1
