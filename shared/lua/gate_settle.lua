-- gate_settle: ends a booked call: frees its place, corrects the buckets by what was really used, and learns.
-- Repeated it changes nothing more.
-- USES gate_common
-- KEYS state calls bookings estimates
-- ARGV id agent limits used characters observed pause_ms
--   used         JSON {requests, input, output} that the provider counted, input without cache reads; '' when that is
--                not known: then all that was booked stays spent
--   characters   size of the request when the call succeeded and may be learned from, else 0
--   observed     JSON {limit: {…}, remaining: {…}, prompt: all input tokens}: what the provider's answer said
--   pause_ms     how long the provider asked everybody to stay away (a 429), else 0
-- RETURNS 1, or 0 when the place had lapsed or was settled already

local seen = cjson.decode(observed)
local pool = open_pool(state, cjson.decode(limits))
local booked = redis.call('HGET', bookings, id)
local need = booked and cjson.decode(booked).need
local usage = used ~= '' and cjson.decode(used)
local held = redis.call('ZREM', calls, id)
redis.call('HDEL', bookings, id)

for _, name in ipairs(DIMENSIONS) do
  local bucket = pool[name]
  if need and usage then bucket.flow = bucket.flow + need[name] - usage[name] end
  local limit = seen.limit[name]
  if limit and limit >= 1 then redis.call('HSET', state, 'limit_' .. name, limit) end
  local most = math.min(bucket.capacity, seen.remaining[name] or bucket.capacity)
  bucket.flow = math.min(bucket.flow, bucket.booked + most)
end
close_pool(state, pool)
if tonumber(pause_ms) > 0 then
  redis.call('HSET', state, 'paused_until', math.max(pool.paused_until, now + pause_ms))
end

local function learn(field, value)
  local before = tonumber(redis.call('HGET', estimates, field) or value)
  redis.call('HSET', estimates, field, string.format('%.6f', before + 0.2 * (value - before)))
end
if tonumber(characters) > 0 and need then
  learn(agent .. ':tokens_per_character', seen.prompt / characters)
  learn(agent .. ':output', usage.output)
  redis.call('PEXPIRE', estimates, DAY_MS)
end
return held
