-- gate_common: what the gate's scripts share; put in front of those that name its keys and limits.
-- The buckets are continuous, as the provider's are: 60 a minute is one a second. A bucket holds at most a tenth
-- of a minute's worth, so that a burst stays far below what the provider lets through at once.
-- A bucket is two totals that only grow: `flow`, what has come in, and `booked`, what calls have taken. A booking
-- gets as its ticket the flow at which it may start, so that its moment comes sooner when the limit turns out
-- higher or calls before it use less, and later when they use more.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines now, DIMENSIONS, open_pool, close_pool, drop_lapsed and wait_for

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local DIMENSIONS = {'requests', 'input', 'output'}
local BURST = 0.1

-- The pool's buckets as they stand now: flow, booked, rate (per ms), capacity and limit (per minute) by dimension.
-- `configured` holds the limits of the settings; what the provider's headers taught goes before them.
local function open_pool(state, configured)
  local saved, raw = {}, redis.call('HGETALL', state)
  for i = 1, #raw, 2 do saved[raw[i]] = tonumber(raw[i + 1]) end
  local pool = {paused_until = saved.paused_until or 0}
  local since = math.max(saved.at or now, math.min(now, pool.paused_until))  -- nothing flows in a pause
  local elapsed = math.max(0, now - since)
  for _, name in ipairs(DIMENSIONS) do
    local limit = saved['limit_' .. name] or configured[name]
    local capacity, rate = math.max(1, limit * BURST), limit / 60000
    local booked = saved['booked_' .. name] or 0
    local flow = math.min(booked + capacity, (saved['flow_' .. name] or capacity) + elapsed * rate)
    pool[name] = {limit = limit, capacity = capacity, rate = rate, flow = flow, booked = booked}
  end
  return pool
end

local function close_pool(state, pool)
  for _, name in ipairs(DIMENSIONS) do
    redis.call('HSET', state, 'flow_' .. name, string.format('%.6f', pool[name].flow),
               'booked_' .. name, string.format('%.6f', pool[name].booked))
  end
  redis.call('HSET', state, 'at', now)
  redis.call('PEXPIRE', state, DAY_MS)
end

-- Calls whose worker died give their places back; what they had booked stays spent.
local function drop_lapsed(calls, bookings)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', calls, '-inf', now)) do
    redis.call('ZREM', calls, id)
    redis.call('HDEL', bookings, id)
  end
end

-- How many ms it takes until all these tickets may start.
local function wait_for(pool, tickets)
  local wait = math.max(0, pool.paused_until - now)
  for _, name in ipairs(DIMENSIONS) do
    wait = math.max(wait, math.ceil((tickets[name] - pool[name].flow) / pool[name].rate))
  end
  return wait
end
