-- gate_renew: a living worker keeps the places of its calls in flight.
-- USES gate_common
-- KEYS calls
-- ARGV ids lease_ms
--   ids   JSON list
-- RETURNS how many of them still had their place

local kept = 0
for _, id in ipairs(cjson.decode(ids)) do
  if redis.call('ZSCORE', calls, id) then
    redis.call('ZADD', calls, 'XX', 'GT', now + lease_ms, id)
    kept = kept + 1
  end
end
return kept
