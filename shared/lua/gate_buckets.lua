-- gate_buckets: what is left of requests, input and output tokens, never more than the provider would say.
-- The buckets are continuous, as the provider's are: 60 a minute is one a second. They hold a few seconds' worth and
-- not a minute's, since a provider may enforce its limit over short spans; after a 429 that belies it, they hold less.
-- So a pool of which nothing is known starts with a tenth of a minute's worth.
-- Requests and input are taken when a call is granted. Output is taken as it is produced, as the provider counts it:
-- calls in flight draw what they are expected to say at a learned speed, and `to_come` is what they have not yet drawn.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines buckets, hold, flow, learn_limits, learn_levels, need_of, room_for, take, give_back, close_buckets

local FIRST_BURST, LEAST_BURST, BURST = 1 / 60, 0.005, 0.1  -- of a minute's worth
local UNSHOWN = BURST / 3600000  -- how fast, per ms, larger bursts are believed in where no headers show how large
local FULL = 0.8                 -- of its capacity is nearly all
local QUIET_MS = 300             -- so long nobody may have started when a call needs a full bucket
-- Of a bucket's capacity nobody gets so much: it pays for lag and for wrong estimates, of which those of output are worst.
local MARGIN = {requests = 0, input = 0.05, output = 0.25}
local HALF, ENOUGH, GRAIN = 0.5, 10, {requests = 0, input = 500, output = 500}
local CREDIT = 1
local MOMENT_MS = 50             -- within which calls may overtake each other on their way
local RECOVERY = 0.05 / 6000     -- how fast, per ms, the pace comes back after 429s

local limits_of = cjson.decode(limits)
local factor = get('factor', 1)
local buckets = {}

local function shape(name)
  local limit = get('limit_' .. name, limits_of[name])
  local bucket = buckets[name] or {}
  bucket.limit, bucket.rate = limit, limit * factor / 60000
  if saved['seen_' .. name] then bucket.rate = bucket.rate * saved['seen_' .. name].share end
  bucket.capacity = math.max(1, limit * get('burst_' .. name, FIRST_BURST))
  bucket.margin = MARGIN[name] * bucket.capacity
  bucket.level = math.min(bucket.capacity, bucket.level or get('level_' .. name, bucket.capacity))
  buckets[name] = bucket
end

-- A bucket is believed to hold so much of a minute's worth.
local function hold(name, burst)
  saved['burst_' .. name] = math.max(LEAST_BURST, math.min(BURST, burst))
  shape(name)
end

local function flow()
  local elapsed = math.max(0, now - get('at', now))
  if factor < 1 then
    factor = math.min(1, factor + elapsed * RECOVERY)
    saved.factor = factor
  end
  for _, name in ipairs(DIMENSIONS) do
    local burst = get('burst_' .. name, FIRST_BURST)
    if not saved.shown and burst < BURST then saved['burst_' .. name] = math.min(BURST, burst + elapsed * UNSHOWN) end
    shape(name)
    local bucket = buckets[name]
    bucket.level = bucket.level + elapsed * bucket.rate
  end
  local speed, to_come = get('speed', 0), get('to_come', 0)
  if speed > 0 and to_come > 0 and elapsed > 0 then
    local drawn = math.min(to_come, speed * elapsed)
    buckets.output.level = buckets.output.level - drawn
    add('taken_output', drawn)
    saved.to_come = to_come - drawn
    usage_drawn(drawn)
    saved.drawn = get('drawn', 0) + drawn / speed  -- ms that each call in flight has been drawing, as far as it counts
  end
  for _, name in ipairs(DIMENSIONS) do
    local bucket = buckets[name]
    bucket.level = math.min(bucket.capacity, bucket.level)
  end
  saved.at = now
end

-- All that was ever taken from a bucket.
local function taken(name) return get('taken_' .. name, 0) end

-- What an answer's headers say of the limits is so.
local function learn_limits(limit)
  for _, name in ipairs(DIMENSIONS) do
    if limit[name] and limit[name] >= 1 and limit[name] ~= buckets[name].limit then
      saved['limit_' .. name] = limit[name]
      shape(name)
    end
  end
end

-- What was left when the provider let this call in is so as well, less what was taken since. Calls that were granted
-- within a moment of it may have got there before or after it: as far as that goes, what is believed stays.
local function learn_refill(name, left, call)
  local bucket, sum, before = buckets[name], left + call.taken[name], saved['seen_' .. name]
  local low = left < HALF * bucket.capacity
  if not before then
    saved['seen_' .. name] = {at = call.starts, sum = sum, share = 1, low = low}
    return
  end
  local elapsed, nominal = call.starts - before.at, bucket.limit / 60000
  if elapsed * nominal < ENOUGH * (call[name] + GRAIN[name]) or elapsed < 500 then return end
  local seen = (sum - before.sum) / elapsed / nominal
  if not (low and before.low) then
    before.share = before.share + 0.5 * (1 - before.share)
  elseif seen > 0 and elapsed * nominal < bucket.capacity then
    before.share = before.share + 0.5 * (math.min(1, math.max(0.1, seen)) - before.share)
  end
  before.at, before.sum, before.low = call.starts, sum, low
  shape(name)
end

local function learn_levels(remaining, call)
  local old = call.starts < get('told_of', 0)
  if not old then saved.told_of = call.starts end
  for _, name in ipairs(DIMENSIONS) do
    local bucket, left = buckets[name], remaining[name]
    if left then
      saved.shown = true
      if left > bucket.capacity then hold(name, left / bucket.limit) end
      local since = left + CREDIT * bucket.rate * math.max(0, now - call.starts) - taken(name)
      local most, least = since + call.taken[name], since + call.surely_taken[name]
      if left == 0 or old then least = bucket.level end  -- it may be in debt
      bucket.level = math.min(bucket.capacity, math.max(least, math.min(most, bucket.level)))
      if not old then learn_refill(name, left, call) end
    end
  end
end

-- How much of a bucket this call needs. One that is larger than a bucket passes a full one.
local function need_of(call, name) return math.min(call[name], buckets[name].capacity - buckets[name].margin) end

-- Of the output that is still to be said, so much must be there as is produced faster than it flows in.
local function output_need_of(call)
  local bucket, speed = buckets.output, get('speed', 0) + call.speed
  local outrun = math.max(0, 1 - bucket.rate / speed)
  local own = math.min(outrun * call.output, bucket.capacity - bucket.margin)
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

local function take(call)
  for _, name in ipairs({'requests', 'input'}) do
    buckets[name].level = buckets[name].level - call[name]
    add('taken_' .. name, call[name])
  end
  if now - get('marked_at', 0) > MOMENT_MS then
    saved.mark_before = saved.mark or {requests = 0, input = 0, output = 0}
    saved.mark = {requests = taken('requests') - 1, input = taken('input') - call.input, output = taken('output')}
    saved.marked_at = now
  end
  call.taken = {requests = taken('requests'), input = taken('input'), output = taken('output')}
  call.surely_taken = saved.mark_before
  call.drawn = get('drawn', 0)
  add('to_come', call.output)
  add('speed', call.speed)
  usage_taken(call)
end

-- A call has ended and has used so much; the output that it was taken to have said already is corrected, too.
local function give_back(call, used)
  local drawn = call.speed * (get('drawn', 0) - call.drawn)
  buckets.requests.level = buckets.requests.level + 1 - used.requests
  buckets.input.level = buckets.input.level + call.input - used.input
  buckets.output.level = buckets.output.level + drawn - used.output
  saved.to_come = math.max(0, get('to_come', 0) - (call.output - drawn))
  saved.speed = math.max(0, get('speed', 0) - call.speed)
  usage_settled(call, used, drawn)
end

local function close_buckets()
  for _, name in ipairs(DIMENSIONS) do
    saved['level_' .. name] = buckets[name].level
  end
end
