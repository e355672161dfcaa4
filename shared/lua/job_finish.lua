-- job_finish: ends a job, if it is still this worker's. A job that is being cancelled ends cancelled, whatever
-- the event. Safe to repeat after a lost answer.
-- USES job_common job_outbox job_states job_waking job_fairness job_pace job_ending
-- KEYS
-- ARGV id owner event output error incomplete retention_ms
--   event                       succeed, stop_short, fail or confirm_cancel
--   output, error, incomplete   '' for none; error is JSON
-- RETURNS the status it has now, or 'lost' when the job is not this worker's

local job = read(id)
if redis.call('HGET', LEASES, id) ~= owner then return job and job.finished_by == owner and job.status or 'lost' end

local because
if job.status ~= 'cancelling' then
  if error ~= '' then because = '"error":' .. error end
  if incomplete ~= '' then because = '"incomplete_details":{"reason":"' .. incomplete .. '"}' end
end
if not transition(job, event, because) then return redis.error_reply('a job cannot ' .. event .. ' now') end

redis.call('HSET', job.key, 'finished_by', owner)
if output ~= '' then redis.call('HSET', job.key, 'output', output) end
if job.status ~= 'cancelled' then
  if error ~= '' then redis.call('HSET', job.key, 'error', error) end
  if incomplete ~= '' then redis.call('HSET', job.key, 'incomplete', incomplete) end
end
retire(job, retention_ms)
return job.status
