-- job_finish: ends a job, if it is still this worker's. A job that is being cancelled ends cancelled, whatever
-- the event. Safe to repeat after a lost answer.
-- KEYS queue leases drain
-- ARGV id owner event output error incomplete retention_ms
--   event                       succeed, stop_short, fail or confirm_cancel
--   output, error, incomplete   '' for none
-- RETURNS the status it has now, or 'lost' when the job is not this worker's

local job = JOB .. id
if redis.call('HGET', leases, id) ~= owner then
  local repeated = redis.call('HGET', job, 'finished_by') == owner
  return repeated and redis.call('HGET', job, 'status') or 'lost'
end
local status = transition(id, event)
if not status then return redis.error_reply('a job cannot ' .. event .. ' now') end

redis.call('HSET', job, 'finished_by', owner)
if output ~= '' then redis.call('HSET', job, 'output', output) end
if error ~= '' and status ~= 'cancelled' then redis.call('HSET', job, 'error', error) end
if incomplete ~= '' and status ~= 'cancelled' then redis.call('HSET', job, 'incomplete', incomplete) end
announce(id)
retire(id, queue, leases, drain, retention_ms)
return status
