-- job_release: gives an unfinished job back to the queue, with its journal, if it is still this worker's.
-- A job that is being cancelled ends cancelled instead. Repeated after a lost answer it says 'lost', which it is.
-- KEYS queue leases wake drain
-- ARGV id owner delay_ms wait_reason retention_ms
--   delay_ms   0 puts it back to its old place; more parks it for so long
-- RETURNS the status it has now, or 'lost' when the job is not this worker's

local job = JOB .. id
if redis.call('HGET', leases, id) ~= owner then return 'lost' end
local status = transition(id, 'release')
if not status then return redis.error_reply('a job cannot be released now') end
if status == 'cancelled' then
  announce(id)
  retire(id, queue, leases, drain, retention_ms)
  return status
end

redis.call('HDEL', leases, id)
redis.call('DEL', ARQ_IN_PROGRESS .. id)
redis.call('HSET', job, 'wait_reason', wait_reason)
if tonumber(delay_ms) > 0 then
  redis.call('ZADD', queue, 'XX', now + delay_ms, id)
  redis.call('ZADD', RETURNING, now + delay_ms, id)
  redis.call('HSET', job, 'next_attempt_ms', now + delay_ms)
else
  redis.call('ZADD', queue, 'XX', redis.call('HGET', job, 'place'), id)
  redis.call('ZREM', RETURNING, id)
end
if wait_reason == 'provider_outage' or wait_reason == 'rate_limit' then redis.call('HINCRBY', job, 'parks', 1) end
announce(id)
wake_one(wake)
return status
