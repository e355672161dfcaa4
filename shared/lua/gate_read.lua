-- gate_read: a pool as it stands, for people to look at. Changes nothing.
-- USES gate_pool gate_buckets gate_breaker
-- KEYS state calls
-- ARGV limits
-- RETURNS JSON {now_ms, requests, input, output: {limit, level, capacity}, in_flight, window,
--         waiting: {high, standard, low}, breaker: closed, open or half, open_ms: how long it still is, away_ms: how long nobody calls, pace: 1 less what
--         429s took from it, refused, failures: how many were seen}

flow()
local seen = {
  now_ms = now,
  in_flight = redis.call('HLEN', calls),
  window = window(),
  waiting = {high = get('waiting_1', 0), standard = get('waiting_2', 0), low = get('waiting_3', 0)},
  breaker = saved.breaker or 'closed',
  open_ms = math.max(0, get('open_until', 0) - now),
  away_ms = math.max(0, get('away_until', 0) - now),
  pace = factor,
  refused = get('refused_seen', 0),
  failures = get('failures_seen', 0),
}
for _, name in ipairs(DIMENSIONS) do
  local bucket = buckets[name]
  seen[name] = {limit = bucket.limit, level = bucket.level, capacity = bucket.capacity}
end
return cjson.encode(seen)
