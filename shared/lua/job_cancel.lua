-- job_cancel: asks a job to end. One that waits ends at once; one that runs is ended by its worker, which is told.
-- KEYS queue leases drain
-- ARGV id retention_ms
-- RETURNS the status it has now, or 'unknown'

local before = redis.call('HGET', JOB .. id, 'status')
if not before then return 'unknown' end
local status = transition(id, 'cancel')
if not status then return before end  -- finished already

if status == 'cancelled' then
  announce(id)
  retire(id, queue, leases, drain, retention_ms)
else
  if status ~= before then announce(id) end
  local owner = redis.call('HGET', leases, id)
  if owner then redis.call('PUBLISH', CONTROL .. owner, id) end
end
return status
