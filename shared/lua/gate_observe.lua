-- gate_observe: what the beginning of an answer says, long before the call has ended.
-- USES gate_pool gate_usage gate_buckets gate_headers gate_breaker gate_line gate_granting
-- KEYS state high standard low waiting tenants calls tags holders
-- ARGV worker id said limits
--   id       the call that is being answered; '' when a leader comes again and nothing was said
--   said     JSON {limit: {…}, remaining: {…}} by dimension, {input: tokens that the provider counted, or false};
--            '' likewise
-- RETURNS {next ms, leads}   see gate_granting

flow()
if said ~= '' then
  local heard, flies = cjson.decode(said), redis.call('HGET', calls, id)
  learn_limits(heard.limit)
  if flies then
    local call = cmsgpack.unpack(flies)
    if heard.input then learn_input(id, call, heard.input) end
    learn_levels(heard.remaining, call)
    came_back(id)
  end
end
return {conclude(worker)}
