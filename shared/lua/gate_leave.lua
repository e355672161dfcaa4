-- gate_leave: a call has ended, or does not want to pass any more: it frees its place, the budget is corrected by what
-- was used, and the gate learns. Safe to repeat.
-- USES gate_pool gate_usage gate_buckets gate_line gate_breaker gate_granting
-- KEYS state high standard low waiting tenants calls tags estimates holders
-- ARGV id worker ending limits
--   ending   JSON {outcome, used: {requests, input, output} or false when nobody knows, prompt: all its input tokens,
--            limit: {…}, remaining: {…}, retry_ms: how long the provider asked to stay away, -1 when it did not say,
--            jitter: 0 to 1}
--            outcome: ok, busy (429), down (529, 5xx, no connection), or '' for one that says nothing of the provider
-- RETURNS {next ms, leads}   see gate_granting

local SLOWER, SLOWER_EVERY_MS = 0.9, 3000
local LEARN = 0.2
local SLOWEST = 0.001         -- tokens per ms
local UNEXPECTED = 0.3        -- of a bucket was thought to be there, and the provider found it empty
local A_SECOND_MS = 1000       -- to which that time is rounded up
local ROUNDED_FROM, ROUNDED = 10000, 500  -- tokens: what is left of larger limits is said in thousands

local ended = cjson.decode(ending)

-- A 429 says of a bucket what it holds: as much as is there after the time that it names.
local function refused(call)
  local spoken = false
  add('refused_seen', 1)
  saved.told_of = now
  usage_refused()
  for _, name in ipairs(DIMENSIONS) do
    local bucket, left = buckets[name], ended.remaining[name]
    local wanted = name == 'output' and 1 or call[name]
    if left and left < wanted + (name ~= 'requests' and bucket.limit >= ROUNDED_FROM and ROUNDED or 0) then
      spoken = true
      if wanted > bucket.capacity then
        hold(name, wanted / bucket.limit)
      elseif bucket.level > UNEXPECTED * bucket.capacity and left < wanted / 2 then
        hold(name, bucket.capacity / bucket.limit / 2)
      end
      bucket.level = math.min(bucket.level, left)
      if ended.retry_ms >= 0 then
        local there = math.min(wanted, bucket.capacity) + bucket.margin
        local least = there - bucket.rate * ended.retry_ms
        local most = call.again and least or there - bucket.rate * (ended.retry_ms - A_SECOND_MS)
        bucket.level = math.max(least, math.min(most, bucket.level))
      end
    end
  end
  if spoken then return end
  if ended.retry_ms >= 0 then
    stay_away(ended.retry_ms)
  else
    trip(ended.jitter)  -- a cap on spending names neither time nor bucket: an outage until told otherwise
  end
  if now - get('slower_at', 0) > SLOWER_EVERY_MS then
    factor = math.max(0.1, factor * SLOWER)
    saved.factor = factor
    saved.slower_at = now
  end
end

local function nearer(before, value) return before and before + LEARN * (value - before) or value end

local function answered(call)
  local known = redis.call('HGET', estimates, call.agent)
  known = known and cmsgpack.unpack(known) or {turns = {}}
  known.density = nearer(known.density, ended.prompt / math.max(1, call.characters))
  known.output = nearer(known.output, ended.used.output)
  known.turns[call.turn] = nearer(known.turns[call.turn], ended.used.output)
  redis.call('HSET', estimates, call.agent, cmsgpack.pack(known))
  redis.call('PEXPIRE', estimates, DAY_MS)
  saved.pace = nearer(saved.pace, math.max(SLOWEST, ended.used.output / math.max(1, now - call.starts)))
  recharge(call, price({input = ended.used.input, output = ended.used.output}))
end

flow()
learn_limits(ended.limit)
local waits, flies = not nobody_waits() and redis.call('HGET', waiting, id), redis.call('HGET', calls, id)
if waits then step_out(id, cmsgpack.unpack(waits)) end
if flies then
  local call = cmsgpack.unpack(flies)
  redis.call('HDEL', calls, id)
  give_back(call, ended.used or {requests = 1, input = call.input, output = call.output})
  if ended.outcome == 'ok' then
    answered(call)
  elseif ended.outcome == 'busy' then
    refused(call)
  elseif ended.used then
    recharge(call, 0)
  end
end
if ended.outcome == 'ok' then went_well() end
if ended.outcome == 'down' and flies then went_wrong(ended.jitter) end
return {conclude(worker)}
