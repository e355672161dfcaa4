-- job_cancel: asks a job to end. One that waits ends at once; one that runs is ended by its worker, which is told.
-- USES job_common job_fairness job_pace job_ending
-- KEYS
-- ARGV id retention_ms
-- RETURNS the status it has now, or 'unknown'

local before = redis.call('HGET', JOB .. id, 'status')
if not before then return 'unknown' end
local status, tenant = transition(id, 'cancel')
if not status then return before end  -- finished already

if FINISHED[status] then
  retire(id, status, tenant, retention_ms)
else
  local owner = redis.call('HGET', LEASES, id)
  if owner then redis.call('PUBLISH', CONTROL .. owner, id) end
end
return status
