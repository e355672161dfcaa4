-- gate_settle: ends a booked call: frees its place, corrects the buckets by what was really used, and learns.
-- KEYS state calls estimates
-- ARGV id agent limits booked used characters observed pause_ms
--   booked       JSON {requests, input, output} as gate_reserve answered
--   used         JSON {requests, input, output} that the provider counted; input without cache reads
--   characters   size of the request when the call succeeded and may be learned from, else 0
--   observed     JSON {limit: {…}, remaining: {…}, prompt: all input tokens}: what the provider's answer said
--   pause_ms     how long the provider asked everybody to stay away (a 429), else 0
-- RETURNS 1, or 0 when the place had lapsed already (then the tokens stay spent)

local booking, usage, seen = cjson.decode(booked), cjson.decode(used), cjson.decode(observed)
local pool = open_pool(state, cjson.decode(limits))
local held = redis.call('ZREM', calls, id)

for _, name in ipairs(DIMENSIONS) do
  local bucket = pool[name]
  if held == 1 then bucket.flow = bucket.flow + booking[name] - usage[name] end
  if seen.limit[name] then redis.call('HSET', state, 'limit_' .. name, seen.limit[name]) end
  local most = math.min(bucket.capacity, seen.remaining[name] or bucket.capacity)
  bucket.flow = math.min(bucket.flow, bucket.booked + most)
end
if tonumber(pause_ms) > 0 then
  redis.call('HSET', state, 'paused_until', math.max(pool.paused_until, now + pause_ms))
end
close_pool(state, pool)

local function learn(field, value)
  local before = tonumber(redis.call('HGET', estimates, field) or value)
  redis.call('HSET', estimates, field, string.format('%.6f', before + 0.2 * (value - before)))
end
if tonumber(characters) > 0 then
  learn(agent .. ':tokens_per_character', seen.prompt / characters)
  learn(agent .. ':output', usage.output)
  redis.call('PEXPIRE', estimates, DAY_MS)
end
return held
