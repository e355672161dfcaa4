-- job_queue_state: how the queue stands.
-- KEYS queue leases drain
-- ARGV
-- RETURNS {waiting, running, drain rate in jobs per second, now (ms)}

local rate = drain_rate(drain)
return {waiting(queue, leases), redis.call('HLEN', leases), tostring(rate), now}
