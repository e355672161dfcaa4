-- gate_tell: a worker has news, or it leads and comes again.
-- LIBRARY gate
-- USES gate_pool gate_usage gate_buckets gate_headers gate_breaker gate_line gate_granting gate_news
-- KEYS state high standard low waiting tenants calls tags estimates holders
-- ARGV worker said limits
--   said     see gate_news
-- RETURNS see gate_granting
meter.flow()
news.take(said)
return grants.conclude(worker)
