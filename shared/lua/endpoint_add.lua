-- endpoint_add: writes a new endpoint down, unless the tenant has as many as it may have.
-- USES job_common
-- KEYS endpoint endpoints
-- ARGV id url description secret most not_counted
--   not_counted   the endpoint for job URLs
-- RETURNS when that was (ms), or 0

local apart = redis.call('ZSCORE', endpoints, not_counted) and 1 or 0
if redis.call('ZCARD', endpoints) - apart >= tonumber(most) then return 0 end
redis.call('HSET', endpoint, 'url', url, 'description', description, 'secret', secret, 'created_ms', now)
redis.call('ZADD', endpoints, 0, id)
return now
