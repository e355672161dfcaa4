-- outbox_replay: a delivery is due now, and has all its attempts before it again; one that is just under way is left
-- alone.
-- USES job_common job_outbox
-- KEYS
-- ARGV id tenant
-- RETURNS 1, or 0 for a delivery that this tenant has not

local key = DELIVERY .. id
local owner, host, leased_ms = unpack(redis.call('HMGET', key, 'tenant', 'host', 'leased_ms'))
if owner ~= tenant then return 0 end
if leased_ms and tonumber(leased_ms) > now then return 1 end

redis.call('HSET', key, 'state', 'pending', 'reason', '', 'tries', 0, 'next_ms', now)
redis.call('PERSIST', key)
redis.call('PERSIST', key .. ATTEMPTS)
list(id, tenant, LISTED_MS)
due_at(host, id, now)
return 1
