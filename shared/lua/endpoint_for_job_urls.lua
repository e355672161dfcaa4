-- endpoint_for_job_urls: the endpoint that holds a tenant's secret for URLs named by jobs, made unless it is there.
-- USES job_common
-- KEYS endpoint endpoints
-- ARGV id secret
-- RETURNS its record, a flat HGETALL

if redis.call('EXISTS', endpoint) == 0 then
  redis.call('HSET', endpoint, 'url', '', 'description', '', 'secret', secret, 'created_ms', now)
  redis.call('ZADD', endpoints, 0, id)
end
return redis.call('HGETALL', endpoint)
