-- gate_buckets: what is left of requests, input and output tokens, as far as possible what the provider would say.
-- The buckets are continuous, as the provider's are: 60 a minute is one a second. How much one holds is learned
-- (gate_headers); it begins with a second's worth, so a pool of which nothing is known starts with hardly anything.
-- Requests and input are taken when a call is granted. Output is taken as it is produced, as the provider counts it:
-- calls in flight draw it at a learned speed, for longer than expected, too; `to_come` is what of the expected they have
-- not yet drawn, `beyond` what they may say on top of that at most, and `drawn_ms` for how long each has been drawing.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines buckets, by name; factor; limits_of; meter, a table of functions; and open_buckets

local meter = {}
local INDEX = {requests = 1, input = 2, output = 3}  -- in lists that calls keep
local FIRST_BURST, LEAST_BURST, BURST = 1 / 60, 0.005, 0.1  -- of a minute's worth
local UNSHOWN = BURST / 3600000  -- how fast, per ms, larger bursts are believed in where no headers show how large
local NEARLY_ALL = 0.8           -- of a bucket
local QUIET_MS = 300             -- so long nobody may have started when a call needs nearly all of a bucket
local HORIZON_MS = 120           -- so far ahead calls are granted
local MOMENT_MS = HORIZON_MS + 30  -- within which calls may overtake each other: before their start and on their way
-- Of a bucket nobody gets so much: it pays for lag and for wrong estimates, of which those of output are worst. Of input
-- it is also what somebody else with the same key may take of the refill before the gate hears of it.
local MARGIN = {requests = 0, input = 0.05, output = 0.4}
local UNHEARD = {requests = 0, input = 2 / 3, output = 0}
local MOST_UNHEARD = 0.25
local HEARS_AFTER_MS, HEARS_EVERY_MS = 250, 500  -- how late a call's headers come, until that is learned; how seldom
local PACE = 0.1                 -- tokens of an answer per ms, until it is learned
local RECOVERY = 0.05 / 6000     -- how fast, per ms, the pace comes back after 429s

local limits_of, limits_text = {}, ''
local factor

-- Of each is kept: level; learned, its limit a minute as the provider said it, absent until then; burst, how much of a
-- minute's worth it holds; shown, whether headers tell of it; told, when they did last, and sure, when there was something
-- left by then: nothing may also be a debt; share, how much of its refill is ours, and refill, what that is learned
-- from; taken, all that was ever taken; spilled, the refill that found it full.
-- What follows from these is in limit, rate (per ms), capacity and margin.
local buckets

local function open_buckets()
  if limits ~= limits_text then limits_of, limits_text = cjson.decode(limits), limits end
  factor, buckets = get('factor', 1), saved.buckets
  if buckets then return end
  buckets = {requests = {}, input = {}, output = {}}
  for _, bucket in pairs(buckets) do
    bucket.burst, bucket.share, bucket.told, bucket.sure, bucket.taken, bucket.spilled = FIRST_BURST, 1, 0, 0, 0, 0
  end
  saved.buckets = buckets
end

local function shape(name, bucket)
  local limit = bucket.learned or limits_of[name]
  local capacity, rate = math.max(1, limit * bucket.burst), limit / 60000 * factor * bucket.share
  local unheard = UNHEARD[name] * rate * (get('hears_after', HEARS_AFTER_MS) + HEARS_EVERY_MS)
  bucket.limit, bucket.capacity, bucket.rate = limit, capacity, rate
  bucket.margin = math.max(MARGIN[name] * capacity, math.min(MOST_UNHEARD * capacity, unheard))
  bucket.level = math.min(capacity, bucket.level or capacity)
end

function meter.shape(name) shape(name, buckets[name]) end

-- A bucket is believed to hold so much of a minute's worth.
function meter.hold(name, burst)
  buckets[name].burst = math.max(LEAST_BURST, math.min(BURST, burst))
  meter.shape(name)
end

-- Output that calls in flight have said since the last script, as far as is known.
local function draw()
  local speed = get('speed', 0)
  local drawn = math.max(0, math.min(speed * idle_ms, get('to_come', 0) + get('beyond', 0)))
  if drawn == 0 then return 0 end
  buckets.output.taken = buckets.output.taken + drawn
  add('to_come', -drawn)
  add('drawn_ms', drawn / speed)
  usage.drawn(drawn)
  return drawn
end

function meter.flow()
  if factor < 1 then
    factor = math.min(1, factor + idle_ms * RECOVERY)
    saved.factor = factor
  end
  local drawn = draw()
  for name, bucket in pairs(buckets) do
    if bucket.burst < BURST and not bucket.shown then
      bucket.burst = math.min(BURST, bucket.burst + idle_ms * UNSHOWN)
    end
    shape(name, bucket)
    local level = bucket.level + idle_ms * bucket.rate - (name == 'output' and drawn or 0)
    if level > bucket.capacity then
      bucket.spilled = bucket.spilled + level - bucket.capacity
      level = bucket.capacity
    end
    bucket.level = level
  end
end

-- How much of a bucket this call needs. One that is larger than a bucket passes a full one.
local function need_of(call, name, bucket) return math.min(call[name], bucket.capacity - bucket.margin) end

-- Of the output that is still to be said, so much must be there as is produced faster than it flows in; all of it as
-- long as it is not known how fast that is. Also how fast the lack of it ends.
local function output_need_of(call, bucket)
  local pace = get('pace', PACE)
  local speed = get('speed', 0) + pace
  local outrun = saved.pace and math.max(0, 1 - bucket.rate / speed) or 1
  local own = math.min(outrun * call.output, bucket.capacity - bucket.margin)
  local to_come = math.max(0, get('to_come', 0))
  -- Calls that have said all that was expected are about to end, or nobody hears them any more.
  return own + outrun * to_come, outrun > 0 and to_come > 0 and bucket.rate * pace / speed or bucket.rate
end

-- How many ms until there is room for the call.
function meter.room_for(call)
  local wait = 0
  for name, bucket in pairs(buckets) do
    local need, rate
    if name == 'output' then
      need, rate = output_need_of(call, bucket)
    else
      need, rate = need_of(call, name, bucket), bucket.rate
    end
    if name == 'input' and need > NEARLY_ALL * bucket.capacity then
      wait = math.max(wait, get('last_start', 0) + QUIET_MS - now)
    end
    local missing = need + bucket.margin - bucket.level
    if missing > 0 then wait = math.max(wait, missing / rate) end
  end
  return wait
end

-- The call remembers what had been taken and spilled by then, in the order of INDEX: of itself included, and of a moment
-- earlier, since calls that are granted within a moment of each other may get to the provider in any order.
function meter.take(call)
  local before, after, spilt = {}, {}, {}
  for name, i in pairs(INDEX) do
    local bucket = buckets[name]
    before[i], spilt[i] = bucket.taken, bucket.spilled
    if name ~= 'output' then
      bucket.level, bucket.taken = bucket.level - call[name], bucket.taken + call[name]
    end
    after[i] = bucket.taken
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

-- What should be left of each bucket in so many ms, if nothing more is taken, in the order of INDEX.
function meter.leaves(ms)
  local left = {}
  for name, i in pairs(INDEX) do
    local bucket = buckets[name]
    local rate = bucket.rate - (name == 'output' and get('speed', 0) or 0)
    left[i] = math.floor(math.min(bucket.capacity, bucket.level + ms * rate))
  end
  return left
end

-- Which part of the call's time came after the provider last spoke of the bucket. Where that is open, since it was at
-- nearly the same moment, or whether a debt was told of, `more` use counts and less does not.
local function unspoken(name, call, more)
  local told = buckets[name].told
  if name == 'output' then return math.max(0, math.min(1, (now - told) / math.max(1, now - call.since))) end
  if more > 0 then return (buckets[name].sure or told) > call.starts + MOMENT_MS and 0 or 1 end
  return told > call.starts - MOMENT_MS and 0 or 1
end

-- A call has used so much more or less of a bucket than was thought. What it used before the provider last spoke of the
-- bucket is in its level already. Where the bucket was full meanwhile, more use of it would have cost nothing.
function meter.correct(name, call, more)
  if more == 0 then return end
  local bucket = buckets[name]
  more = more * unspoken(name, call, more)
  local free = math.max(0, math.min(more, bucket.spilled - call.spilled[INDEX[name]]))
  bucket.spilled = bucket.spilled - free
  bucket.level = math.min(bucket.capacity, bucket.level - more + free)
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
