-- gate_observe: what the headers of an answer that has just begun say; long before the call has ended.
-- USES gate_pool gate_buckets gate_line gate_breaker gate_granting
-- KEYS state high standard low waiting calls tags holders
-- ARGV worker said limits
--   said     JSON {limit: {…}, remaining: {…}} by dimension
-- RETURNS {next ms, leads}   see gate_granting

flow()
believe(cjson.decode(said))
return {conclude(worker)}
