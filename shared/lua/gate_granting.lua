-- gate_granting: lets calls pass whose turn it is, as far as there is room within a short horizon. So a wrong estimate,
-- a death or a new priority spoils at most that. When the next one has to wait for longer, one worker (the leader) is to
-- come again then; all others are told by a message, so that nobody asks in vain.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines granted; grants, a table of functions; and open_granting. Functions that let calls pass
--   answer {next ms, leads, recoveries, heard ms, crowded}: ms until somebody is to come again or -1, whether that is
--   this worker (1 or 0), how often the breaker has closed again, how long ago an answer's headers told of the buckets,
--   and what has to happen before one more may pass, since as many are in flight as may be: that one ends (1), or, as
--   the provider has just come back, just that one is being answered (2), else 0

local grants = {}
local COME_AGAIN = -1        -- in place of ms to wait
local ENDS_AWAITED, ANSWERS_AWAITED = 1, 2
local SILENT_MS = 10000      -- after which a worker is dead: its calls in flight free their places, its waiting ones go
local SIGN_EVERY_MS = 1000
local BURY_EVERY_MS = 1000
local NOBODY_SPOKE_MS = 3000 -- Redis was away: then the silence is nobody's
local MOST_LOOKED_THROUGH = 2000  -- calls in line: some milliseconds
local MOST_AT_ONCE = 64
local LOOK_AGAIN_MS = 500
local LEADS_MS = 1500
local MUCH_SOONER_MS = 50
local OFTEN_MS, LATELY = 50, 0.1  -- between two that come, on the mean of late
local TIME_FOR_OTHERS_MS = 250
local RENEW_EVERY_MS = 3600000

local granted                -- by id, the calls granted here

local function open_granting()
  granted = {}
  if idle_ms > NOBODY_SPOKE_MS then saved.spoke_again_at = now end
end

function grants.in_flight()
  at_hand.flying = at_hand.flying or redis.call('HLEN', calls)
  return at_hand.flying
end

-- When the worker last said that it lives, nil when it is dead.
function grants.last_sign_of(worker)
  local last = at_hand.living[worker] or tonumber(redis.call('ZSCORE', holders, worker) or nil)
  at_hand.living[worker] = last
  return last
end

-- This worker lives.
function grants.sign_of_life()
  local last = grants.last_sign_of(worker)
  if last and now - last < SIGN_EVERY_MS then return end
  at_hand.living[worker] = now
  redis.call('ZADD', holders, now, worker)
  for _, key in ipairs({holders, calls}) do redis.call('PEXPIRE', key, DAY_MS) end
end

-- From now on the call is in flight.
function grants.put(id, call)
  local before = grants.in_flight()
  redis.call('HSET', calls, id, cmsgpack.pack(call))
  if before == 0 then redis.call('PEXPIRE', calls, DAY_MS) end
  at_hand.flying = before + 1
end

function grants.remove(id)
  grants.in_flight()
  at_hand.flying = at_hand.flying - redis.call('HDEL', calls, id)
end

-- A call in flight that nobody will end. Its tokens stay spent: the provider goes on answering it.
function grants.drop(id, call)
  grants.remove(id)
  meter.give_back(call, {requests = 1, input = call.input, output = call.output})
end

-- A call in line that nobody waits for any more.
function grants.give_up(id, call)
  line.leave(id, call)
  line.recharge(call, 0)
end

function grants.bury_the_dead()
  if now - get('buried_at', 0) < BURY_EVERY_MS or now - get('spoke_again_at', 0) < SILENT_MS then return end
  saved.buried_at = now
  local dead, found = {}, redis.call('ZRANGEBYSCORE', holders, '-inf', now - SILENT_MS)
  if #found == 0 then return end
  redis.call('ZREMRANGEBYSCORE', holders, '-inf', now - SILENT_MS)
  at_hand.living = {}
  for _, name in ipairs(found) do dead[name] = true end
  local kinds = {calls}
  if line.length() <= MOST_LOOKED_THROUGH then kinds[2] = waiting end
  for _, kind in ipairs(kinds) do
    local all = redis.call('HGETALL', kind)
    for i = 1, #all, 2 do
      local call = cmsgpack.unpack(all[i + 1])
      if dead[call.worker] and kind == calls then
        grants.drop(all[i], call)
      elseif dead[call.worker] then
        grants.give_up(all[i], call)
      end
    end
  end
end

-- Whose turn it is, of those whose workers live: what the dead left in a line too long to be looked through goes when
-- its turn comes.
function grants.next_in_line()
  local id, call = line.head()
  while id and not grants.last_sign_of(call.worker) do
    grants.give_up(id, call)
    id, call = line.head()
  end
  return id, call
end

-- Tells its worker that the call may start in `wait` ms.
local function say(id, call, wait)
  local requests, input, output = unpack(call.leaves)
  local pool = string.match(state, '{(.*)}')
  local told = string.format(
    '%s %.0f %.0f %.0f %.0f %.0f %s', id, math.ceil(wait), call.tries or 0, requests, input, output, pool
  )
  redis.call('PUBLISH', GRANTS .. call.worker, told)
end

-- What was granted ahead is not there after all: calls that have not started yet are to come again.
function grants.call_back()
  if get('last_start', 0) <= now then return end
  local all = redis.call('HGETALL', calls)
  for i = 1, #all, 2 do
    local call = cmsgpack.unpack(all[i + 1])
    if call.starts > now and call.leaves then say(all[i], call, COME_AGAIN) end
  end
  saved.last_start = now
end

-- The call may start in `wait` ms.
function grants.admit(id, call, wait)
  line.charge(call)
  meter.take(call)
  call.starts = now + wait
  call.leaves = meter.leaves(wait)
  saved.last_start = math.max(get('last_start', 0), call.starts)
  if saved.breaker == 'half' then saved.canary, call.tries = id, 1 end
  grants.put(id, call)
  granted[id] = call
end

-- Ms until the call may start; whether that is soon enough to let it pass now.
function grants.may_start(call)
  local stop = breaker.held_up()
  if stop ~= 0 then return math.min(stop or LOOK_AGAIN_MS, LOOK_AGAIN_MS), false end
  if grants.in_flight() >= breaker.window() then return LOOK_AGAIN_MS, false end
  local wait = meter.room_for(call)
  return math.min(wait, LOOK_AGAIN_MS), wait <= HORIZON_MS
end

-- Returns ms until the next call may pass, -1 when nobody waits. `asking` is told by the script's own answer.
function grants.grant_all(asking)
  for _ = 1, MOST_AT_ONCE do
    local id, call = grants.next_in_line()
    if not id then return -1 end
    local wait, soon = grants.may_start(call)
    if not soon then return wait end
    line.leave(id, call)
    grants.admit(id, call, wait)
    if id ~= asking then say(id, call, wait) end
  end
  return 1
end

-- Whether this worker is the one to come again in `next_ms`: 1 or 0. It is not while another one leads, unless that one
-- comes much too late by what is known now: it was told to look after a while, and then the provider failed, say.
function grants.lead(worker, next_ms)
  if next_ms < 0 then
    if saved.leader ~= '' then saved.leader = '' end
    return 0
  end
  local other = (saved.leader or '') ~= '' and saved.leader ~= worker and now < get('leads_until', 0)
  if other and now + next_ms > get('leader_comes_at', 0) - MUCH_SOONER_MS then return 0 end
  saved.leader = worker
  saved.leader_comes_at = now + next_ms
  saved.leads_until = now + LEADS_MS
  return 1
end

-- Where others come so often that one of them will surely let the next call pass, the leader gives them time to.
function grants.unhurried(next_ms)
  local gap = get('gap', LOOK_AGAIN_MS)
  saved.gap = gap + LATELY * (math.min(idle_ms, LOOK_AGAIN_MS) - gap)
  if next_ms < 0 or saved.gap > OFTEN_MS or (saved.breaker or 'closed') ~= 'closed' then return next_ms end
  return next_ms + TIME_FOR_OTHERS_MS
end

function grants.renew()
  if now - get('renewed_at', 0) < RENEW_EVERY_MS then return end
  saved.renewed_at = now
  for _, key in ipairs({high, standard, low, waiting, tenants, calls, tags, holders}) do
    redis.call('PEXPIRE', key, DAY_MS)
  end
end

-- When no call is in flight, nothing is left of those that were, whatever the sums say.
function grants.balance()
  if get('speed', 0) ~= 0 and grants.in_flight() > 0 then return end
  saved.speed, saved.to_come, saved.beyond, saved.reserved = 0, 0, 0, 0
end

-- The end of every function.
function grants.conclude(worker, asking)
  grants.bury_the_dead()
  grants.balance()
  local next_ms = grants.unhurried(grants.grant_all(asking))
  local leads = grants.lead(worker, next_ms)
  local crowded = 0
  if grants.in_flight() >= breaker.window() then
    crowded = breaker.starts_slowly() and ANSWERS_AWAITED or ENDS_AWAITED
  end
  grants.renew()
  close_pool()
  return {math.ceil(next_ms), leads, get('recoveries', 0), now - get('heard_at', 0), crowded}
end
