-- job_renew: extends the leases of a worker on its jobs.
-- KEYS queue leases
-- ARGV owner lease_ms ids
--   ids   JSON list
-- RETURNS {lost ids, cancelling ids}: jobs that are not this worker's any more, and those that are to be cancelled

sign_of_life(queue, leases, lease_ms)
local lost, cancelling = {}, {}
for _, id in ipairs(cjson.decode(ids)) do
  if redis.call('HGET', leases, id) == owner then
    lease(id, queue, leases, owner, lease_ms)
    if redis.call('HGET', JOB .. id, 'status') == 'cancelling' then cancelling[#cancelling + 1] = id end
  else
    lost[#lost + 1] = id
  end
end
return {lost, cancelling}
