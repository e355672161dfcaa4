-- job_cancel: asks a job to end. One that waits ends at once; one that runs is ended by its worker, which is told.
-- USES job_common job_outbox job_states job_waking job_fairness job_pace job_reserved job_sessions job_ending
-- KEYS
-- ARGV id retention_ms
-- RETURNS the status it has now, or 'unknown'

local job = read(id)
if not job then return 'unknown' end
if not transition(job, 'cancel') then return job.status end  -- finished already

if FINISHED[job.status] then
  retire(job, retention_ms)
else
  local owner = redis.call('HGET', LEASES, id)
  if owner then redis.call('PUBLISH', CONTROL .. owner, 'cancel ' .. id) end
end
return job.status
