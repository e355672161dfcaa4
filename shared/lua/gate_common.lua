-- gate_common: what the gate's scripts share; put in front of those that name its keys and limits.
-- The buckets are continuous, as the provider's are: 60 a minute is one a second. A bucket holds at most a tenth
-- of a minute's worth, so that a burst stays far below what the provider lets through at once.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines now, DIMENSIONS and open_pool

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local DIMENSIONS = {'requests', 'input', 'output'}
local BURST = 0.1
local DAY_MS = 86400000

-- The pool's buckets as they stand now: level, rate (per ms), capacity and limit (per minute) by dimension.
-- `configured` holds the limits of the settings; what the provider's headers taught goes before them.
local function open_pool(state, configured)
  local saved, raw = {}, redis.call('HGETALL', state)
  for i = 1, #raw, 2 do saved[raw[i]] = tonumber(raw[i + 1]) end
  local elapsed = math.max(0, now - (saved.at or now))
  local pool = {paused_until = saved.paused_until or 0}
  for _, name in ipairs(DIMENSIONS) do
    local limit = saved['limit_' .. name] or configured[name]
    local capacity = math.max(1, limit * BURST)
    local rate = limit / 60000
    local level = math.min(capacity, (saved['level_' .. name] or capacity) + elapsed * rate)
    pool[name] = {limit = limit, capacity = capacity, rate = rate, level = level}
  end
  return pool
end

local function close_pool(state, pool)
  for _, name in ipairs(DIMENSIONS) do
    redis.call('HSET', state, 'level_' .. name, string.format('%.6f', pool[name].level))
  end
  redis.call('HSET', state, 'at', now)
  redis.call('PEXPIRE', state, DAY_MS)
end
