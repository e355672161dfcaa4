-- gate_enter: a model call wants to pass. It is granted at once when it is its turn and there is room, else it waits in
-- line and its worker is told when it may go. Safe to repeat with the same id.
-- USES gate_pool gate_usage gate_buckets gate_line gate_breaker gate_granting
-- KEYS state high standard low waiting tenants calls tags estimates holders
-- ARGV asking worker call limits
--   asking   the call's id
--   call     JSON {tenant, weight, class: 1 to 3, agent, turn, characters, max_output, place: where it stood before the
--            provider refused it, false for a new one}
--   limits   JSON {requests, input, output: per minute; in_flight}: what the settings say; what was learned goes before
-- RETURNS {'granted', ms to wait, input, output, place, next ms, leads}      the last two: see gate_granting
--      or {'waiting', ms that it may take, and the same}
--      or {'shut', ms until somebody may try, and the same}    it waits while nobody may pass
--      or {'too_large', input tokens, limit}       more than a whole minute's worth: it can never pass

local DENSITY, OUTPUT, PACE = 0.3, 500, 1  -- tokens per character, per call and per ms, until they are learned

local wanted = cjson.decode(call)

local function answer(what, ms, entry)
  local next_ms, leads = conclude(worker, asking)
  if granted[asking] then
    what, ms = 'granted', granted[asking]
  elseif what == 'waiting' and (saved.breaker or 'closed') ~= 'closed' then
    what, ms = 'shut', math.max(0, get('open_until', 0) - now)
  end
  return {what, math.ceil(ms), entry.input, entry.output, string.format('%.16g', entry.place), next_ms, leads}
end

-- What others are ahead may take, roughly: its own class and those before it, at the pool's pace.
local function expected()
  local minutes = 0
  for class = 1, wanted.class do minutes = minutes + get('ahead_' .. class, 0) end
  return math.max(minutes * 60000, held_up() or 0)
end

flow()
redis.call('ZADD', holders, now, worker)
redis.call('PEXPIRE', holders, DAY_MS)
local passed, waits = redis.call('HGET', calls, asking), not nobody_waits() and redis.call('HGET', waiting, asking)
if passed then
  passed = cmsgpack.unpack(passed)
  return answer('granted', math.max(0, passed.starts - now), passed)
end
if waits then return answer('waiting', expected(), cmsgpack.unpack(waits)) end

local known = redis.call('HGET', estimates, wanted.agent)
known = known and cmsgpack.unpack(known) or {turns = {}}
local turn = math.min(wanted.turn, 4)
local entry = {
  worker = worker, tenant = wanted.tenant, weight = wanted.weight, class = wanted.class, agent = wanted.agent,
  turn = turn, characters = wanted.characters, place = wanted.place or nil, again = wanted.place and true or nil, requests = 1,
  input = math.max(1, math.ceil(wanted.characters * (known.density or DENSITY))),
  output = math.min(wanted.max_output, math.ceil(known.turns[turn] or known.output or OUTPUT)),
  speed = get('pace', PACE),
}
if entry.input > buckets.input.limit then return {'too_large', entry.input, math.floor(buckets.input.limit)} end
entry.cost = price(entry)
take_place(entry)
redis.call('PEXPIRE', tags, DAY_MS)

-- Most calls find nobody in line.
if nobody_waits() and held_up() == 0 and redis.call('HLEN', calls) < window() then
  local wait = room_for(entry)
  if wait <= HORIZON_MS then
    wake_up(entry.class)
    admit(asking, entry, wait)
    return answer('granted', wait, entry)
  end
end
local ms = expected()
line_up(asking, entry)
return answer('waiting', ms, entry)
