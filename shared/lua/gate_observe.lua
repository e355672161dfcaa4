-- gate_observe: what the beginning of an answer says, long before the call has ended.
-- LIBRARY gate
-- USES gate_pool gate_usage gate_buckets gate_headers gate_breaker gate_line gate_granting
-- KEYS state high standard low waiting tenants calls tags holders
-- ARGV worker id said limits
--   id       the call that is being answered; '' when a leader comes again and nothing was said
--   said     JSON {limit: {…}, remaining: {…}} by dimension, {input: tokens that the provider counted, or false};
--            '' likewise
-- RETURNS {next ms, leads}   see gate_granting
meter.flow()
if said ~= '' then
  local heard, flies = cjson.decode(said), redis.call('HGET', calls, id)
  word.limits(heard.limit)
  if flies then
    local call = cmsgpack.unpack(flies)
    if heard.input then word.input(call, heard.input) end
    word.levels(heard.remaining, call)
    breaker.answers(id, call)
    redis.call('HSET', calls, id, cmsgpack.pack(call))
  end
end
return {grants.conclude(worker)}
