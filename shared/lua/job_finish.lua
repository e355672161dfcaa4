-- job_finish: ends a job, if it is still this worker's. A job that is being cancelled ends cancelled, whatever
-- the event. Safe to repeat after a lost answer.
-- USES job_common job_fairness job_pace job_ending
-- KEYS
-- ARGV id owner event output error incomplete retention_ms
--   event                       succeed, stop_short, fail or confirm_cancel
--   output, error, incomplete   '' for none
-- RETURNS the status it has now, or 'lost' when the job is not this worker's

local job = JOB .. id
if redis.call('HGET', LEASES, id) ~= owner then
  local status, by = unpack(redis.call('HMGET', job, 'status', 'finished_by'))
  return by == owner and status or 'lost'
end
local status, tenant = transition(id, event)
if not status then return redis.error_reply('a job cannot ' .. event .. ' now') end

redis.call('HSET', job, 'finished_by', owner)
if output ~= '' then redis.call('HSET', job, 'output', output) end
if error ~= '' and status ~= 'cancelled' then redis.call('HSET', job, 'error', error) end
if incomplete ~= '' and status ~= 'cancelled' then redis.call('HSET', job, 'incomplete', incomplete) end
retire(id, status, tenant, retention_ms)
return status
