-- outbox_settle: what became of an attempt, if the delivery is still this claim's. Safe to repeat after a lost answer:
-- the repeat finds it settled.
-- USES job_common job_outbox
-- KEYS
-- ARGV id claim state reason delay_ms attempt endpoint retention_ms
--   claim      which one it was taken by
--   state      pending, delivered or failed
--   reason     why it failed, or ''
--   delay_ms   until the next attempt of one that is pending
--   attempt    JSON, or '' when none was made
--   endpoint   what its endpoint is from now on: 'disabled', 'enabled', or '' for as it is
-- RETURNS 1, or 0 when it is somebody else's

local MOST_ATTEMPTS = 50

local key = DELIVERY .. id
local claims, host, tenant, endpoint_id, leased_ms =
  unpack(redis.call('HMGET', key, 'claims', 'host', 'tenant', 'endpoint_id', 'leased_ms'))
if claims ~= claim or not leased_ms then return 0 end

redis.call('HDEL', key, 'leased_ms')
redis.call('HSET', key, 'state', state, 'reason', reason)
if attempt ~= '' then
  redis.call('HINCRBY', key, 'tries', 1)
  redis.call('RPUSH', key .. ATTEMPTS, attempt)
  redis.call('LTRIM', key .. ATTEMPTS, -MOST_ATTEMPTS, -1)
end

if state == 'pending' then
  redis.call('HSET', key, 'next_ms', now + delay_ms)
  due_at(host, id, now + delay_ms)
else
  local lasting_ms = math.max(retention_ms, DAY_MS)
  redis.call('HDEL', key, 'next_ms')
  drop(host, id)
  redis.call('PEXPIRE', key, lasting_ms)
  redis.call('PEXPIRE', key .. ATTEMPTS, lasting_ms)
  list(id, tenant, lasting_ms + LISTED_MS)
end

local address = ENDPOINT .. tenant .. ':' .. endpoint_id
if endpoint == 'enabled' then
  redis.call('HDEL', address, 'disabled_ms')
elseif endpoint == 'disabled' and redis.call('EXISTS', address) == 1 then
  redis.call('HSETNX', address, 'disabled_ms', now)
end
return 1
