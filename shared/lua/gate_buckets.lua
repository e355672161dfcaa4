-- gate_buckets: what is left of requests, input and output tokens, never more than the provider would say.
-- The buckets are continuous, as the provider's are: 60 a minute is one a second. They hold a few seconds' worth and
-- not a minute's, since a provider may enforce its limit over short spans; after a 429 that belies it, they hold less.
-- So a pool of which nothing is known starts with a tenth of a minute's worth.
-- Requests and input are taken when a call is granted. Output is taken as it is produced, as the provider counts it:
-- calls in flight draw what they are expected to say at a learned speed, and `to_come` is what they have not yet drawn.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines buckets, flow, believe, need_of, room_for, make_room_for, take, give_back, close_buckets

local BURST, LEAST_BURST = 0.1, 0.01    -- of a minute's worth
local BURST_RECOVERY = BURST / 3600000  -- how fast, per ms, bursts are believed in again
local FULL = 0.8                        -- of its capacity is nearly all
local QUIET_MS = 300                    -- so long nobody may have started when a call needs a full bucket
-- Of a bucket's capacity nobody gets so much: it pays for lag and for wrong estimates, of which those of output are worst.
local MARGIN = {requests = 0, input = 0.05, output = 0.25}
local RECOVERY = 0.05 / 6000  -- how fast, per ms, the pace comes back after 429s

local limits_of = cjson.decode(limits)
local factor = get('factor', 1)
local buckets = {}

local function shape(name)
  local limit = get('limit_' .. name, limits_of[name])
  local bucket = buckets[name] or {}
  bucket.limit, bucket.rate = limit, limit * factor / 60000
  bucket.widest = math.max(1, limit * BURST)
  bucket.capacity = math.max(1, limit * get('burst_' .. name, BURST), get('wanted_' .. name, 0))
  bucket.margin = MARGIN[name] * math.max(1, limit * get('burst_' .. name, BURST))
  bucket.level = math.min(bucket.capacity, bucket.level or get('level_' .. name, bucket.capacity))
  buckets[name] = bucket
end

local function flow()
  local elapsed = math.max(0, now - get('at', now))
  if factor < 1 then
    factor = math.min(1, factor + elapsed * RECOVERY)
    saved.factor = factor
  end
  for _, name in ipairs(DIMENSIONS) do
    local burst = get('burst_' .. name, BURST)
    if burst < BURST then saved['burst_' .. name] = math.min(BURST, burst + elapsed * BURST_RECOVERY) end
    shape(name)
    local bucket = buckets[name]
    bucket.level = bucket.level + elapsed * bucket.rate
  end
  local speed, to_come = get('speed', 0), get('to_come', 0)
  if speed > 0 and to_come > 0 and elapsed > 0 then
    local drawn = math.min(to_come, speed * elapsed)
    buckets.output.level = buckets.output.level - drawn
    saved.to_come = to_come - drawn
    saved.drawn = get('drawn', 0) + drawn / speed  -- ms that each call in flight has been drawing, as far as it counts
  end
  for _, name in ipairs(DIMENSIONS) do
    local bucket = buckets[name]
    bucket.level = math.min(bucket.capacity, bucket.level)
  end
  saved.at = now
end

-- What the provider's answer said: its limits are learned, and what it says is left is never exceeded.
local function believe(said)
  for _, name in ipairs(DIMENSIONS) do
    local limit, remaining = said.limit[name], said.remaining[name]
    if limit and limit >= 1 and limit ~= buckets[name].limit then
      saved['limit_' .. name] = limit
      shape(name)
    end
    if remaining then buckets[name].level = math.min(buckets[name].level, remaining) end
  end
end

-- How much of a bucket this call needs. One that is larger than a bucket passes a full one.
local function need_of(call, name)
  local bucket = buckets[name]
  return math.min(call[name], bucket.widest - bucket.margin)
end

-- Of the output that is still to be said, so much must be there as is produced faster than it flows in.
local function output_need_of(call)
  local bucket, speed = buckets.output, get('speed', 0) + call.speed
  local outrun = math.max(0, 1 - bucket.rate / speed)
  local own = math.min(outrun * call.output, bucket.widest - bucket.margin)
  return own + outrun * get('to_come', 0), outrun > 0 and bucket.rate * call.speed / speed or bucket.rate
end

-- How many ms until there is room for the call.
local function room_for(call)
  local wait = 0
  for _, name in ipairs(DIMENSIONS) do
    local bucket, need, rate = buckets[name], nil, buckets[name].rate
    if name == 'output' then
      need, rate = output_need_of(call)
    else
      need = need_of(call, name)
      if need > FULL * bucket.capacity and name == 'input' then
        wait = math.max(wait, get('last_start', 0) + QUIET_MS - now)
      end
    end
    local missing = need + bucket.margin - bucket.level
    if missing > 0 then wait = math.max(wait, missing / rate) end
  end
  return wait
end

-- Whoever is next may need more than a bucket is believed to hold: it fills up for that call alone.
local function make_room_for(call)
  for _, name in ipairs({'requests', 'input'}) do
    saved['wanted_' .. name] = call and need_of(call, name) + buckets[name].margin or nil
  end
end

local function take(call)
  buckets.requests.level = buckets.requests.level - 1
  buckets.input.level = buckets.input.level - call.input
  call.drawn = get('drawn', 0)
  add('to_come', call.output)
  add('speed', call.speed)
end

-- A call has ended and has used so much; the output that it was taken to have said already is corrected, too.
local function give_back(call, used)
  local drawn = call.speed * (get('drawn', 0) - call.drawn)
  buckets.requests.level = buckets.requests.level + 1 - used.requests
  buckets.input.level = buckets.input.level + call.input - used.input
  buckets.output.level = buckets.output.level + drawn - used.output
  saved.to_come = math.max(0, get('to_come', 0) - (call.output - drawn))
  saved.speed = math.max(0, get('speed', 0) - call.speed)
end

local function close_buckets()
  for _, name in ipairs(DIMENSIONS) do
    saved['level_' .. name] = buckets[name].level
  end
end
