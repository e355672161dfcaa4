-- endpoint_rotate: gives an endpoint a new secret; the one before signs, too, for a while.
-- USES job_common
-- KEYS endpoint endpoints
-- ARGV id secret overlap_ms make
--   make   1 to make the endpoint if there is none
-- RETURNS until when the secret before signs (ms), 0 when there was none, or -1 for an endpoint there is not

local before = redis.call('HGET', endpoint, 'secret')
if not before and make ~= '1' then return -1 end

redis.call('HSET', endpoint, 'secret', secret)
if not before then
  redis.call('HSET', endpoint, 'url', '', 'description', '', 'created_ms', now)
  redis.call('ZADD', endpoints, 0, id)
  return 0
end
redis.call('HSET', endpoint, 'prior', before, 'prior_until_ms', now + overlap_ms)
return now + overlap_ms
