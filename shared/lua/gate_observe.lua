-- gate_observe: what the headers of an answer that has just begun say; long before the call has ended.
-- USES gate_pool gate_usage gate_buckets gate_line gate_breaker gate_granting
-- KEYS state high standard low waiting tenants calls tags holders
-- ARGV worker id said limits
--   id       the call that was answered; '' when a leader comes again and nothing was said
--   said     JSON {limit: {…}, remaining: {…}} by dimension; '' likewise
-- RETURNS {next ms, leads}   see gate_granting

flow()
if said ~= '' then
  local heard, call = cjson.decode(said), redis.call('HGET', calls, id)
  learn_limits(heard.limit)
  if call then learn_levels(heard.remaining, cmsgpack.unpack(call)) end
end
return {conclude(worker)}
