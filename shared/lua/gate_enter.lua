-- gate_enter: a model call wants to pass. It is granted at once when it is its turn and there is room, else it waits in
-- line and its worker is told when it may go. Safe to repeat with the same id.
-- LIBRARY gate
-- USES gate_pool gate_usage gate_buckets gate_headers gate_breaker gate_line gate_granting gate_news
-- KEYS state high standard low waiting tenants calls tags estimates holders
-- ARGV asking worker call said limits
--   asking   the call's id
--   call     JSON {tenant, weight, class: 1 to 3, agent, turn, characters, max_output, place: where it stood before,
--            absent for a new one, again: whether it stood there because the provider refused or failed it, paid:
--            whether it has come for that before}
--   limits   JSON {requests, input, output: per minute; in_flight}: what the settings say; what was learned goes before
--   said     see gate_news
-- RETURNS {see gate_granting,
--         {'granted', ms to wait, input, output, place, requests, input, output: that should be left then}
--      or {'tries', the same}                      granted as the one call that tries whether the provider is back
--      or {'waiting', ms that it may take, input, output, place}
--      or {'shut', ms until somebody may try, the same}    it waits while nobody may pass
--      or {'too_large', input tokens, limit}       more than a whole minute's worth: it can never pass
--      or {'spent'}}                               it comes again, and there have been too many retries of late
local DENSITY, OUTPUT = 0.3, 500  -- tokens per character and of an answer, until they are learned
local FAR_TOO_LARGE = 2      -- by this factor, as long as an agent's tokens per character are not known
local RETRY, RETRIES = 10, 100  -- calls that pay for one, and that count at most

local wanted = cjson.decode(call)

-- `ms` is told to those that were not granted.
local function answer(what, entry, ms)
  local concluded = grants.conclude(worker, asking)
  local closed = (saved.breaker or 'closed') == 'closed'
  if granted[asking] then what, entry = 'granted', granted[asking] end
  if what == 'granted' then ms = math.max(0, entry.starts - now) end
  if what == 'granted' and entry.tries then what = 'tries' end
  if what == 'waiting' and not closed then what, ms = 'shut', math.max(0, get('open_until', 0) - now) end
  local told = {what, math.ceil(ms), entry.input, entry.output, string.format('%.16g', entry.place)}
  if entry.leaves then told[6], told[7], told[8] = unpack(entry.leaves) end
  return {concluded, told}
end

local function turned_away(...) return {grants.conclude(worker), {...}} end

local function entry_of()
  local known = news.known_of(wanted.agent)
  local turn = math.min(wanted.turn, 4)
  local of_turn = known.turns[turn] or known
  local entry = {
    worker = worker, tenant = wanted.tenant, weight = wanted.weight, class = wanted.class, agent = wanted.agent,
    turn = turn, characters = wanted.characters, place = wanted.place, again = wanted.again, requests = 1,
    input = math.max(1, math.ceil(wanted.characters * (of_turn.density or DENSITY))),
    output = math.min(wanted.max_output, math.ceil(of_turn.output or OUTPUT)), most = wanted.max_output,
  }
  entry.cost = line.price(entry)
  local largest = buckets.input.limit * (of_turn.density and 1 or FAR_TOO_LARGE)
  entry.input = entry.input > largest and entry.input or math.min(entry.input, buckets.input.limit)
  return entry
end

-- During an outage the breaker alone says who calls.
local function may_try_again()
  if wanted.paid or wanted.again and (saved.breaker or 'closed') ~= 'closed' then return true end
  local calls_made = get('calls_made', RETRIES)
  if wanted.again and calls_made < RETRY then return false end
  saved.calls_made = wanted.again and calls_made - RETRY or math.min(RETRIES, calls_made + 1)
  return true
end

meter.flow()
grants.sign_of_life()
news.take(said)
local passed, waits = redis.call('HGET', calls, asking), not line.nobody_waits() and redis.call('HGET', waiting, asking)
if passed then
  return answer('granted', cmsgpack.unpack(passed))
end
if waits then
  waits = cmsgpack.unpack(waits)
  return answer('waiting', waits, line.expected(waits.class, waits.place, waits.cost))
end

local entry = entry_of()
if entry.input > buckets.input.limit then
  return turned_away('too_large', entry.input, math.floor(buckets.input.limit))
end
if not may_try_again() then return turned_away('spent') end
line.take_place(entry)

-- Most calls find nobody in line.
if line.nobody_waits() then
  local wait, soon = grants.may_start(entry)
  if soon then
    line.wake_up(entry.class)
    grants.admit(asking, entry, wait)
    return answer('granted', entry)
  end
end
line.join(asking, entry)
return answer('waiting', entry, line.expected(entry.class, entry.place, entry.cost))
