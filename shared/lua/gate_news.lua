-- gate_news: what a worker has to tell of its calls: how the answer to one began, and that one has ended or does not want
-- to pass any more, which frees its place, corrects the budget by what was used, and lets the gate learn. It comes with
-- any request of that worker, before what that wants. Safe to repeat.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines news, a table of functions. Those that take it have `said`, '' for nothing, or a JSON list;
--   of the beginning of an answer, long before the call has ended:
--            {id, limit: {…}, remaining: {…} by dimension, input: tokens that the provider counted, or false}
--   of an end: {id, outcome, used: {requests, input, output} or false when nobody knows}
--            outcome: ok, busy (429), down (529, 5xx, no connection), or '' for one that says nothing of the provider;
--            unless it is ok, also {limit: {…}, remaining: {…}, jitter: 0 to 1,
--            retry_ms: how long the provider asked to stay away, -1 when it did not say}

local news = {}
local LEARN = 0.2
local ANSWERS = 20            -- of which a mean is one: nine may be short and the tenth very long
local SLOWEST = 0.001         -- tokens per ms

local function refused(call, ended)
  add('refused_seen', 1)
  usage.refused()
  grants.call_back()
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

-- What is known of an agent's calls: {density, output, turns: the same of each turn}, as far as it is.
function news.known_of(agent)
  local known = at_hand.estimates[agent]
  if not known then
    local packed = redis.call('HGET', estimates, agent)
    known = packed and cmsgpack.unpack(packed) or {turns = {}}
    at_hand.estimates[agent] = known
  end
  return known
end

local function answered(call, used)
  local density = used.input / math.max(1, call.characters)
  local known = learn(news.known_of(call.agent), density, used.output)
  known.turns[call.turn] = learn(known.turns[call.turn] or {}, density, used.output)
  local is_first = redis.call('HSET', estimates, call.agent, cmsgpack.pack(known)) == 1
  if is_first or get('renewed_at', 0) > get('estimates_renewed_at', -1) then
    redis.call('PEXPIRE', estimates, DAY_MS)
    saved.estimates_renewed_at = get('renewed_at', 0)
  end
  learn_pace(used.output, now - call.starts)
  line.recharge(call, line.price({input = used.input, output = used.output}), true)
end

local function ends(id, call, ended)
  grants.remove(id)
  meter.give_back(call, ended.used or {requests = 1, input = call.input, output = call.output})
  if ended.outcome == 'ok' then
    answered(call, ended.used)
    breaker.went_well(id, call)
    return
  end
  if ended.used then line.recharge(call, 0, true) end
  if ended.outcome == 'busy' then refused(call, ended) end
  if ended.outcome == 'down' then breaker.went_wrong(id, call, ended.jitter) end
end

local function begins(id, call, begun)
  if begun.input then word.input(call, begun.input) end
  word.levels(begun.remaining, call)
  breaker.answers(id, call)
  redis.call('HSET', calls, id, cmsgpack.pack(call))
end

local function take(item)
  if item.limit then word.limits(item.limit) end
  local flies = redis.call('HGET', calls, item.id)
  if flies then
    local tell = item.outcome and ends or begins
    tell(item.id, cmsgpack.unpack(flies), item)
  elseif item.outcome and not line.nobody_waits() then
    local waits = redis.call('HGET', waiting, item.id)
    if waits then grants.give_up(item.id, cmsgpack.unpack(waits)) end
  end
end

function news.take(said)
  if said == '' then return end
  for _, item in ipairs(cjson.decode(said)) do take(item) end
end
