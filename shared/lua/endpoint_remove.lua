-- endpoint_remove: forgets an endpoint, its secrets with it.
-- KEYS endpoint endpoints
-- ARGV id
-- RETURNS 1, or 0 for an endpoint there was not

redis.call('ZREM', endpoints, id)
return redis.call('DEL', endpoint)
