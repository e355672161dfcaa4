-- gate_leave: a call has ended, or does not want to pass any more: it frees its place, the budget is corrected by what
-- was used, and the gate learns. Safe to repeat.
-- LIBRARY gate
-- USES gate_pool gate_usage gate_buckets gate_headers gate_breaker gate_line gate_granting
-- KEYS state high standard low waiting tenants calls tags estimates holders
-- ARGV id worker ending limits
--   ending   JSON {outcome, used: {requests, input, output} or false when nobody knows,
--            limit: {…}, remaining: {…}, retry_ms: how long the provider asked to stay away, -1 when it did not say,
--            jitter: 0 to 1}
--            outcome: ok, busy (429), down (529, 5xx, no connection), or '' for one that says nothing of the provider
-- RETURNS {next ms, leads, how often the breaker has closed again}   the first two: see gate_granting
local LEARN = 0.2
local ANSWERS = 20            -- of which a mean is one: nine may be short and the tenth very long
local SLOWEST = 0.001         -- tokens per ms

local ended = cjson.decode(ending)

local function refused(call)
  add('refused_seen', 1)
  usage.refused()
  if word.refusal(call, ended.remaining, ended.retry_ms) then return end
  if ended.retry_ms >= 0 then
    breaker.stay_away(ended.retry_ms)
  else
    breaker.trip(ended.jitter)  -- a cap on spending names neither time nor bucket: an outage until told otherwise
  end
  word.slow_down()
end

local function nearer(before, value) return before and before + LEARN * (value - before) or value end

-- The mean of all answers so far, and then of about the last ANSWERS.
local function learn_mean(mean, seen, value)
  return mean and mean + (value - mean) / math.min(seen + 1, ANSWERS) or value
end

local function learn(known, density, output)
  known.density = nearer(known.density, density)
  known.output = learn_mean(known.output, known.seen or 0, output)
  known.seen = math.min(ANSWERS, (known.seen or 0) + 1)
  return known
end

-- Tokens per ms, by how much was said and how long it took: it is the long answers that are mostly in flight.
local function learn_pace(output, ms)
  local seen = get('timed', 0)
  saved.said, saved.took = learn_mean(saved.said, seen, output), learn_mean(saved.took, seen, math.max(1, ms))
  saved.timed = math.min(ANSWERS, seen + 1)
  saved.pace = math.max(SLOWEST, saved.said / saved.took)
end

local function answered(call)
  local known, output = redis.call('HGET', estimates, call.agent), ended.used.output
  local density = ended.used.input / math.max(1, call.characters)
  known = learn(known and cmsgpack.unpack(known) or {turns = {}}, density, output)
  known.turns[call.turn] = learn(known.turns[call.turn] or {}, density, output)
  local is_new = redis.call('HSET', estimates, call.agent, cmsgpack.pack(known)) == 1
  if is_new or get('renewed_at', 0) > get('estimates_renewed_at', -1) then
    redis.call('PEXPIRE', estimates, DAY_MS)
    saved.estimates_renewed_at = get('renewed_at', 0)
  end
  learn_pace(output, now - call.starts)
  line.recharge(call, line.price({input = ended.used.input, output = output}), true)
end

local function ends(call)
  grants.remove(id)
  meter.give_back(call, ended.used or {requests = 1, input = call.input, output = call.output})
  if ended.outcome == 'ok' then
    answered(call)
    breaker.went_well(id, call)
    return
  end
  if ended.used then line.recharge(call, 0, true) end
  if ended.outcome == 'busy' then refused(call) end
  if ended.outcome == 'down' then breaker.went_wrong(id, call, ended.jitter) end
end

meter.flow()
word.limits(ended.limit)
local flies = redis.call('HGET', calls, id)
local waits = not flies and not line.nobody_waits() and redis.call('HGET', waiting, id)
if flies then ends(cmsgpack.unpack(flies)) end
if waits then grants.give_up(id, cmsgpack.unpack(waits)) end
local next_ms, leads = grants.conclude(worker)
return {next_ms, leads, get('recoveries', 0)}
