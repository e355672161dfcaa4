-- fleet_enlist: a worker joins the fleet, or comes back to it after it was taken for dead.
-- KEYS
-- ARGV owner slots
--   slots   how many jobs it can run
-- RETURNS 1

redis.call('SADD', WORKERS, owner)
if redis.call('EXISTS', LEASES) == 0 then redis.call('PEXPIRE', WORKERS, DAY_MS) end
redis.call('SET', ALIVE .. owner, slots, 'PX', DAY_MS)
return 1
