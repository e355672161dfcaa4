-- job_renew: extends the leases of a worker on its jobs.
-- USES job_common job_fairness job_pace job_ending job_leases
-- KEYS
-- ARGV owner slots lease_ms retention_ms ids
--   ids   JSON list
-- RETURNS {lost ids, cancelling ids}: jobs that are not this worker's any more, and those that are to be cancelled

sign_of_life(owner, slots, lease_ms)
local lost, cancelling = {}, {}
for _, id in ipairs(cjson.decode(ids)) do
  if redis.call('HGET', LEASES, id) == owner then
    local status, tenant = unpack(redis.call('HMGET', JOB .. id, 'status', 'tenant'))
    lease(id, queue_of(tenant), owner, lease_ms)
    if status == 'cancelling' then cancelling[#cancelling + 1] = id end
  else
    lost[#lost + 1] = id
  end
end
sweep(owner, retention_ms)
return {lost, cancelling}
