-- booked: one token bucket per dimension, taken from ahead of time (the generic cell rate algorithm, ITU-T I.371).
-- KEYS bucket
-- ARGV burst_seconds, then limits per minute, then amounts to take: of requests, input, output; negative gives back
-- RETURNS seconds to wait until what was taken is really there, as text

local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local saved = redis.call('HMGET', KEYS[1], 'at', 'requests', 'input', 'output')
local elapsed = math.max(0, now - (saved[1] or now))
local wait, levels = 0, {}
for i = 1, 3 do
  local rate, amount = ARGV[1 + i] / 60, tonumber(ARGV[4 + i])
  local capacity = math.max(1, rate * ARGV[1])
  local level = math.min(capacity, (saved[1 + i] or capacity) + elapsed * rate)
  wait = math.max(wait, (math.min(amount, capacity) - level) / rate)
  levels[i] = string.format('%.6f', math.min(capacity, level - amount))
end
redis.call('HSET', KEYS[1], 'at', string.format('%.6f', now), 'requests', levels[1], 'input', levels[2], 'output', levels[3])
return string.format('%.6f', wait)
