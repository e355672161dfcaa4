-- gate_headers: what the provider says of its buckets. Its word goes before what is believed: limits and levels are
-- learned from the headers of every answer, a 429 is a statement about a bucket, and what a bucket holds is the most
-- that was ever left in it. So nobody has to know how short the spans are over which a provider enforces its limits.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines word, a table of functions

local word = {}
local FRESH_MS = 3000            -- so old, the word of a level may still raise it
local LOW = 0.5                  -- of a bucket: it has surely not been full
local STEADY, LEAST_SHARE = 0.5, 0.1
local OF_LATE = 0.1             -- of a mean
local LEAST_SPAN_MS, ENOUGH = 500, 10  -- over which a refill is measured: as many calls of its like
local GRAIN = {requests = 0, input = 500, output = 500}  -- what is left of large limits is said in thousands
local GRAIN_FROM = 10000
local A_SECOND_MS = 1000         -- to which the time after a 429 is rounded up
local LEAST_PAUSE_MS = 100
local UNEXPECTED = 0.3           -- of a bucket was thought to be there, and the provider found it empty
local SLOWER, SLOWER_EVERY_MS = 0.9, 3000

function word.grain(name) return buckets[name].limit >= GRAIN_FROM and GRAIN[name] or 0 end

function word.limits(said)
  for name, bucket in pairs(buckets) do
    if said[name] and said[name] >= 1 and said[name] ~= bucket.limit then
      bucket.learned = said[name]
      meter.shape(name)
    end
  end
end

-- Part of the refill may go to somebody else who has the same key. It shows in what flows in while the bucket is low.
function word.share(name, bucket, left, call)
  local before = bucket.refill
  local seen = {at = call.starts, sum = left + call.taken[INDEX[name]], low = left < LOW * bucket.capacity}
  if not before then
    bucket.refill = seen
    return
  end
  local span = seen.at - before.at
  local full_share = span * bucket.limit / 60000
  if span < LEAST_SPAN_MS or full_share < ENOUGH * (call[name] + GRAIN[name]) then return end
  bucket.refill = seen
  local share, now_seen = bucket.share, (seen.sum - before.sum) / full_share
  if not (seen.low and before.low) then
    share = share + STEADY * (1 - share)
  elseif now_seen > 0 and full_share < bucket.capacity then  -- less than nothing: somebody took a gulp
    share = share + STEADY * (math.max(LEAST_SHARE, math.min(1, now_seen)) - share)
  end
  bucket.share = share
  meter.shape(name)
end

-- What was left when the provider let this call in is so, with what flowed in since and less what was taken since.
-- Calls that were granted within a moment of it may have got there before or after it: as far as that goes, what is
-- believed stays. Nothing left may also mean a debt, and what was said of a later moment goes before.
function word.levels(remaining, call)
  local age = math.max(0, now - call.starts)
  saved.heard_at = now
  local usual = math.min(age, FRESH_MS)  -- later than that it was an outage that kept it back
  saved.hears_after = saved.hears_after and saved.hears_after + OF_LATE * (usual - saved.hears_after) or usual
  for name, bucket in pairs(buckets) do
    local left, i = remaining[name], INDEX[name]
    if left then
      bucket.shown = true
      if left > bucket.capacity then meter.hold(name, left / bucket.limit) end
      local since = math.min(bucket.capacity, left + bucket.rate * age) - bucket.taken
      local surely = name == 'output' and call.taken[i] or call.surely_taken[i]
      local most, least = since + call.taken[i], since + surely - word.grain(name)
      if left == 0 or call.starts < bucket.told or age > FRESH_MS then least = -math.huge end
      bucket.level = math.min(bucket.capacity, math.max(least, math.min(most, bucket.level)))
      if call.starts >= bucket.told then
        bucket.told = call.starts
        if left > 0 then bucket.sure = call.starts end
        word.share(name, bucket, left, call)
      end
    end
  end
end

-- The provider has counted the input of a call that it began to answer.
function word.input(call, counted)
  meter.correct('input', call, counted - call.input)
  usage.counted(call, counted)
  call.input = counted
end

-- There is what is left, and what the call needs after the time that is named, which is rounded up: a call that comes
-- for the first time may try as soon as the level allows within that second, one that was refused again does not.
function word.level_after_refusal(bucket, call, wanted, left, retry_ms)
  local level = math.min(bucket.level, left)
  if retry_ms < 0 then return level end
  local there, waits = math.min(wanted, bucket.capacity) + bucket.margin, math.max(LEAST_PAUSE_MS, retry_ms)
  local most = there - bucket.rate * math.max(LEAST_PAUSE_MS, call.again and waits or waits - A_SECOND_MS)
  return math.max(there - bucket.rate * waits, math.min(most, level))
end

-- Whether the 429 says which bucket it is about.
function word.refusal(call, remaining, retry_ms)
  local spoken = false
  for name, bucket in pairs(buckets) do
    local left = remaining[name]
    local wanted = name == 'output' and 1 or call[name]
    if left and left < wanted + word.grain(name) then
      spoken = true
      if wanted > bucket.capacity then
        meter.hold(name, wanted / bucket.limit)
      elseif bucket.level > UNEXPECTED * bucket.capacity and left < wanted / 2 then
        meter.hold(name, bucket.capacity / bucket.limit / 2)
      end
      bucket.level = word.level_after_refusal(bucket, call, wanted, left, retry_ms)
      bucket.told = now
      if left > 0 then bucket.sure = now end
    end
  end
  return spoken
end

-- A 429 that says nothing of buckets: all go more slowly for a while.
function word.slow_down()
  if now - get('slower_at', 0) <= SLOWER_EVERY_MS then return end
  factor = math.max(0.1, factor * SLOWER)
  saved.factor, saved.slower_at = factor, now
end
