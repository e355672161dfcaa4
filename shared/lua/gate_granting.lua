-- gate_granting: lets calls pass whose turn it is, as far as there is room within a short horizon. So a wrong estimate,
-- a death or a new priority spoils at most that. When the next one has to wait for longer, one worker (the leader) is to
-- come again then; all others are told by a message, so that nobody asks in vain.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines granted, drop, admit, conclude

local HORIZON_MS = 30
local SILENT_MS = 10000      -- after which a worker is dead, its calls in flight free their places, its waiting ones go
local MOST_AT_ONCE = 64
local LOOK_AGAIN_MS = 500
local LEADS_MS = 1500

local pool_name = string.match(state, '{(.*)}')
local granted = {}           -- id -> ms to wait, of the calls granted here

-- A call in flight that nobody will end. Its tokens stay spent: the provider goes on answering it.
local function drop(id, call)
  redis.call('HDEL', calls, id)
  give_back(call, {requests = 1, input = call.input, output = call.output})
end

local function bury_the_dead()
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', holders, '-inf', now - SILENT_MS, 'LIMIT', 0, 8)) do
    redis.call('ZREM', holders, worker)
    for _, kind in ipairs({calls, waiting}) do
      local all = redis.call('HGETALL', kind)
      for i = 1, #all, 2 do
        local call = cmsgpack.unpack(all[i + 1])
        if call.worker == worker and kind == waiting then
          step_out(all[i], call)
        elseif call.worker == worker then
          drop(all[i], call)
        end
      end
    end
  end
end

-- The call may start in `wait` ms.
local function admit(id, call, wait)
  charge(call)
  take(call)
  call.starts = now + wait
  saved.last_start = math.max(get('last_start', 0), call.starts)
  redis.call('HSET', calls, id, cmsgpack.pack(call))
  redis.call('PEXPIRE', calls, DAY_MS)
  granted[id] = wait
  if saved.breaker == 'half' then saved.canary = id end
end

-- Returns ms until the next call may pass, -1 when nobody waits. `asking` is told by the script's own answer.
local function grant_all(asking)
  local flying = redis.call('HLEN', calls)
  if flying == 0 then
    saved.to_come = 0
    saved.speed = 0
    saved.reserved = 0
  end
  for _ = 1, MOST_AT_ONCE do
    local id, call = head()
    if not id then return -1 end
    local stop = held_up()
    if stop ~= 0 then return math.min(stop or LOOK_AGAIN_MS, LOOK_AGAIN_MS) end
    if flying >= window() then return LOOK_AGAIN_MS end
    local wait = room_for(call)
    if wait > HORIZON_MS then return math.min(wait, LOOK_AGAIN_MS) end
    step_out(id, call)
    admit(id, call, wait)
    flying = flying + 1
    if id ~= asking then
      redis.call('PUBLISH', GRANTS .. call.worker, string.format('%s %.0f %s', id, wait, pool_name))
    end
  end
  return 1
end

-- Whether this worker is the one to come again in `next_ms`: 1 or 0.
local function lead(worker, next_ms)
  if next_ms < 0 then
    if saved.leader ~= '' then saved.leader = '' end
    return 0
  end
  if (saved.leader or '') ~= '' and saved.leader ~= worker and now < get('leads_until', 0) then return 0 end
  saved.leader = worker
  saved.leads_until = now + LEADS_MS
  return 1
end

-- The end of every script. Returns ms until somebody is to come again or -1, and whether that is this worker.
local function conclude(worker, asking)
  bury_the_dead()
  local next_ms = grant_all(asking)
  local leads = lead(worker, next_ms)
  close_buckets()
  close_pool()
  return math.ceil(next_ms), leads
end
