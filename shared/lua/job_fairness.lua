-- job_fairness: whose turn it is. READY holds the tenants that have a job due and may run one more; its lowest score
-- goes first. The score is running jobs / weight, so that slots are shared by weight whatever the backlogs are. Among
-- equals the one goes first that was served least, by start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996):
-- each claim costs 1/weight, and who was away takes up at the place of the one served last, so that nobody saves up.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines terms_of, rank, served, forget

local TIE = 1e-9       -- what one turn weighs beside one running job
local START_ANEW = 1e8 -- turns after which all start anew, long before they would weigh as much as a job

-- A tenant's weight, and how many jobs it may have running (nil: any).
local terms = {}
local function terms_of(tenant)
  if not terms[tenant] then
    local weight, cap = unpack(redis.call('HMGET', TENANTS, tenant .. ':weight', tenant .. ':max_running'))
    terms[tenant] = {weight = tonumber(weight or 1), cap = tonumber(cap or nil)}
  end
  return terms[tenant]
end

-- The same, with its turns so far.
local function standing_of(tenant)
  local its = terms_of(tenant)
  its.turns = its.turns or tonumber(redis.call('HGET', TURNS_TAKEN, tenant) or 0)
  return its
end

-- To be called whenever a tenant's due jobs, running jobs or terms have changed; `due` when one is known to be due.
-- A tenant that becomes ready wakes a worker; for one that was ready already somebody has been woken, or all are busy.
local function rank(tenant, due)
  local its, running = standing_of(tenant), tally(tenant).running
  if (its.cap and running >= its.cap)
      or not (due or redis.call('ZRANGEBYSCORE', queue_of(tenant), '-inf', now, 'LIMIT', 0, 1)[1]) then
    redis.call('ZREM', READY, tenant)
  else
    local score = string.format('%.17g', running / its.weight + its.turns * TIE)
    if redis.call('ZADD', READY, score, tenant) == 1 then wake_one() end
  end
end

-- A job of this tenant has been taken.
local function served(tenant)
  local its = standing_of(tenant)
  local start = math.max(its.turns, tonumber(redis.call('HGET', TURNS_TAKEN, '') or 0))
  if start > START_ANEW then
    redis.call('DEL', TURNS_TAKEN)
    start, terms = 0, {}
    for _, other in ipairs(redis.call('ZRANGE', READY, 0, -1)) do rank(other) end
    its = standing_of(tenant)
  end
  its.turns = start + 1 / its.weight
  redis.call('HSET', TURNS_TAKEN, tenant, string.format('%.17g', its.turns), '', string.format('%.17g', start))
end

-- A tenant without unfinished jobs leaves nothing behind here. Returns whether it is one.
local function forget(tenant)
  local its = tally(tenant)
  if its.queued + its.running > 0 or redis.call('EXISTS', queue_of(tenant)) == 1 then return false end
  redis.call('HDEL', TENANTS, tenant .. ':weight', tenant .. ':max_running')
  redis.call('HDEL', TURNS_TAKEN, tenant)
  if redis.call('EXISTS', COUNTS) == 0 then redis.call('DEL', TURNS_TAKEN) end
  return true
end
