-- gate_buckets: what is left of requests, input and output tokens, as far as possible what the provider would say.
-- The buckets are continuous, as the provider's are: 60 a minute is one a second. How much one holds is learned
-- (gate_headers); it begins with a second's worth, so a pool of which nothing is known starts with hardly anything.
-- Requests and input are taken when a call is granted. Output is taken as it is produced, as the provider counts it:
-- calls in flight draw it at a learned speed, for longer than expected, too; `to_come` is what of the expected they have
-- not yet drawn, `beyond` what they may say on top of that at most, and `drawn_ms` for how long each has been drawing.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines buckets, factor and meter, a table of functions

local meter = {}
local FIRST_BURST, LEAST_BURST, BURST = 1 / 60, 0.005, 0.1  -- of a minute's worth
local UNSHOWN = BURST / 3600000  -- how fast, per ms, larger bursts are believed in where no headers show how large
local NEARLY_ALL = 0.8           -- of a bucket
local QUIET_MS = 300             -- so long nobody may have started when a call needs nearly all of a bucket
local MOMENT_MS = 100            -- within which calls may overtake each other on their way
-- Of a bucket nobody gets so much: it pays for lag and for wrong estimates, of which those of output are worst. Of input
-- it is also what somebody else with the same key may take of the refill before the gate hears of it.
local MARGIN = {requests = 0, input = 0.05, output = 0.4}
local UNHEARD = {requests = 0, input = 2 / 3, output = 0}
local MOST_UNHEARD = 0.2
local HEARS_AFTER_MS, HEARS_EVERY_MS = 250, 250  -- how late a call's headers come, until that is learned; how seldom
local PACE = 0.1                 -- tokens of an answer per ms, until it is learned
local RECOVERY = 0.05 / 6000     -- how fast, per ms, the pace comes back after 429s

local limits_of = cjson.decode(limits)
local factor = get('factor', 1)
local buckets = {}

function meter.shape(name)
  local limit = get('limit_' .. name, limits_of[name])
  local bucket = buckets[name] or {}
  bucket.limit, bucket.rate = limit, limit / 60000 * factor * get('share_' .. name, 1)
  bucket.capacity = math.max(1, limit * get('burst_' .. name, FIRST_BURST))
  local unheard = UNHEARD[name] * bucket.rate * (get('hears_after', HEARS_AFTER_MS) + HEARS_EVERY_MS)
  bucket.margin = math.max(MARGIN[name] * bucket.capacity, math.min(MOST_UNHEARD * bucket.capacity, unheard))
  bucket.level = math.min(bucket.capacity, bucket.level or get('level_' .. name, bucket.capacity))
  buckets[name] = bucket
end

-- A bucket is believed to hold so much of a minute's worth.
function meter.hold(name, burst)
  saved['burst_' .. name] = math.max(LEAST_BURST, math.min(BURST, burst))
  meter.shape(name)
end

-- All that was ever taken from a bucket, and all of its refill that found it full.
function meter.taken(name) return get('taken_' .. name, 0) end
function meter.spilled(name) return get('spilled_' .. name, 0) end

function meter.flow()
  if factor < 1 then
    factor = math.min(1, factor + idle_ms * RECOVERY)
    saved.factor = factor
  end
  local speed = get('speed', 0)
  local drawn = math.max(0, math.min(speed * idle_ms, get('to_come', 0) + get('beyond', 0)))
  if drawn > 0 then
    add('taken_output', drawn)
    add('to_come', -drawn)
    add('drawn_ms', drawn / speed)
    usage.drawn(drawn)
  end
  for _, name in ipairs(DIMENSIONS) do
    local burst = get('burst_' .. name, FIRST_BURST)
    if burst < BURST and not saved['shown_' .. name] then
      saved['burst_' .. name] = math.min(BURST, burst + idle_ms * UNSHOWN)
    end
    meter.shape(name)
    local bucket = buckets[name]
    local level = bucket.level + idle_ms * bucket.rate - (name == 'output' and drawn or 0)
    if level > bucket.capacity then add('spilled_' .. name, level - bucket.capacity) end
    bucket.level = math.min(bucket.capacity, level)
  end
end

-- How much of a bucket this call needs. One that is larger than a bucket passes a full one.
function meter.need_of(call, name) return math.min(call[name], buckets[name].capacity - buckets[name].margin) end

-- Of the output that is still to be said, so much must be there as is produced faster than it flows in; all of it as
-- long as it is not known how fast that is. Also how fast the lack of it ends.
function meter.output_need_of(call)
  local bucket, pace = buckets.output, get('pace', PACE)
  local speed = get('speed', 0) + pace
  local outrun = saved.pace and math.max(0, 1 - bucket.rate / speed) or 1
  local own = math.min(outrun * call.output, bucket.capacity - bucket.margin)
  return own + outrun * math.max(0, get('to_come', 0)), outrun > 0 and bucket.rate * pace / speed or bucket.rate
end

-- How many ms until there is room for the call.
function meter.room_for(call)
  local wait = 0
  for _, name in ipairs(DIMENSIONS) do
    local bucket, need, rate = buckets[name], nil, buckets[name].rate
    if name == 'output' then
      need, rate = meter.output_need_of(call)
    else
      need = meter.need_of(call, name)
    end
    if name == 'input' and need > NEARLY_ALL * bucket.capacity then
      wait = math.max(wait, get('last_start', 0) + QUIET_MS - now)
    end
    local missing = need + bucket.margin - bucket.level
    if missing > 0 then wait = math.max(wait, missing / rate) end
  end
  return wait
end

-- The call remembers what had been taken and spilled by then: of itself included, and of a moment earlier, since calls
-- that are granted within a moment of each other may get to the provider in any order.
function meter.take(call)
  local before, after, spilt = {}, {}, {}
  for i, name in ipairs(DIMENSIONS) do
    before[i], spilt[i] = meter.taken(name), meter.spilled(name)
    if name ~= 'output' then
      buckets[name].level = buckets[name].level - call[name]
      add('taken_' .. name, call[name])
    end
    after[i] = meter.taken(name)
  end
  if now - get('marked_at', 0) > MOMENT_MS then
    saved.mark_before, saved.mark, saved.marked_at = saved.mark or {0, 0, 0}, before, now
  end
  call.speed = get('pace', PACE)
  call.since, call.taken, call.surely_taken, call.spilled = now, after, saved.mark_before, spilt
  call.drawn_ms = get('drawn_ms', 0)
  add('to_come', call.output)
  add('beyond', call.most - call.output)
  add('speed', call.speed)
  usage.taken(call)
end

-- A call has used so much more or less of a bucket than was thought. What it used before the provider last spoke of the
-- bucket is in its level already. Where the bucket was full meanwhile, more use of it would have cost nothing.
function meter.correct(name, call, more)
  local bucket, i = buckets[name], name == 'requests' and 1 or name == 'input' and 2 or 3
  more = more * meter.unspoken(name, call, more)
  local free = math.max(0, math.min(more, meter.spilled(name) - call.spilled[i]))
  if free > 0 then add('spilled_' .. name, -free) end
  bucket.level = math.min(bucket.capacity, bucket.level - more + free)
end

-- Which part of the call's time came after the provider last spoke of the bucket. Where that is open, since it was at
-- nearly the same moment, `more` use counts and less does not.
function meter.unspoken(name, call, more)
  local told = get('told_' .. name, 0)
  if name ~= 'output' then return told > call.starts + (more > 0 and MOMENT_MS or -MOMENT_MS) and 0 or 1 end
  local flown = math.max(1, now - call.since)
  return math.max(0, math.min(1, (now - told) / flown))
end

-- A call has ended and has used so much.
function meter.give_back(call, used)
  local drawn = call.speed * (get('drawn_ms', 0) - call.drawn_ms)
  meter.correct('requests', call, used.requests - 1)
  meter.correct('input', call, used.input - call.input)
  meter.correct('output', call, used.output - drawn)
  add('to_come', drawn - call.output)
  add('beyond', call.output - call.most)
  saved.speed = math.max(0, get('speed', 0) - call.speed)
  usage.settled(call, used, drawn)
end

function meter.close()
  for _, name in ipairs(DIMENSIONS) do
    saved['level_' .. name] = buckets[name].level
  end
end
