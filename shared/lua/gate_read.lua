-- gate_read: a pool as it stands, for people to look at. Changes nothing.
-- LIBRARY gate
-- USES gate_pool gate_usage gate_buckets gate_breaker gate_line
-- KEYS state high standard low waiting tenants calls tags
-- ARGV tenant limits
--   tenant   whose own waiting calls are counted, too; '' for nobody's, '*' for each tenant's
-- RETURNS JSON {now_ms, in_flight, window, breaker: closed, open or half,
--         requests, input, output: {limit, learned: whether the provider said it, capacity, level, reserved: taken for
--           calls in flight, or of output still to come from them, used: in the last minute},
--         waiting: {high, standard, low}, expected_ms: {high, standard, low}: how long a call that comes now may wait,
--         tenants: how many have calls that wait, own: how many of the tenant's wait,
--         by_tenant: how many of each, for '*' only,
--         held_up_by: breaker, retry_after, in_flight, or what the next one waits for: requests, input_tokens or
--           output_tokens; absent when nothing holds calls up,
--         shut_ms: how long nobody calls, since the breaker is open or the provider asked for it,
--         pace: 1 less what 429s took from it, speed: learned tokens per ms of an answer, absent before the first,
--         refused, failures: how many were seen, refused_lately: in the last minute}
local CLASSES = {'high', 'standard', 'low'}

meter.flow()
local stop, flying, used = breaker.held_up(), redis.call('HLEN', calls), usage.of_a_minute()
local reserved = {requests = flying, input = get('reserved', 0), output = math.max(0, get('to_come', 0))}
local seen = {
  now_ms = now,
  in_flight = flying,
  window = breaker.window(),
  breaker = saved.breaker or 'closed',
  waiting = {},
  expected_ms = {},
  tenants = line.nobody_waits() and 0 or redis.call('HLEN', tenants),
  own = line.nobody_waits() and 0 or tonumber(redis.call('HGET', tenants, tenant) or 0),
  shut_ms = stop or 0,
  pace = factor,
  speed = saved.pace,
  refused = get('refused_seen', 0),
  refused_lately = used.refused,
  failures = get('failures_seen', 0),
}
if tenant == '*' then
  local counts = line.nobody_waits() and {} or redis.call('HGETALL', tenants)
  seen.by_tenant = {}
  for i = 1, #counts, 2 do seen.by_tenant[counts[i]] = tonumber(counts[i + 1]) end
end
for name, bucket in pairs(buckets) do
  seen[name] = {
    limit = bucket.limit, learned = bucket.learned ~= nil, capacity = bucket.capacity, level = bucket.level,
    reserved = flying > 0 and reserved[name] or 0, used = used[name],
  }
end
for class, name in ipairs(CLASSES) do
  seen.waiting[name] = get('waiting_' .. class, 0)
  seen.expected_ms[name] = line.expected(class, math.huge, 1 / buckets.requests.limit)
end

-- The bucket that the call waits for the longest, nil when there is room: as if the others held plenty.
local function scarcest(call)
  local found, longest = nil, 0
  for _, name in ipairs({'input', 'output', 'requests'}) do
    for other, bucket in pairs(buckets) do bucket.level = other == name and seen[name].level or math.huge end
    local wait = meter.room_for(call)
    if wait > longest then found, longest = name == 'requests' and name or name .. '_tokens', wait end
  end
  return found
end

local _, next_one = line.head()
if stop ~= 0 then
  seen.held_up_by = seen.breaker == 'closed' and 'retry_after' or 'breaker'
elseif flying >= seen.window then
  seen.held_up_by = 'in_flight'
elseif next_one then
  seen.held_up_by = scarcest(next_one)
end
return cjson.encode(seen)
