-- job_fairness: whose turn it is. READY holds the tenants that have a job due and may run one more; its lowest score
-- goes first. The score is running jobs / weight, so that slots are shared by weight whatever the backlogs are. Among
-- equals the one goes first that was served least, by start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996):
-- each claim costs 1/weight, and who was away takes up at the place of the one served last, so that nobody saves up.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines wake_one, running_of, cap_of, rank, served, forget

local TIE = 1e-9       -- what one turn weighs beside one running job
local FORGET = 1e8     -- turns after which all start anew, long before they would weigh as much as a job

-- Leaves one token for one idle worker; more would only wake workers for nothing.
local function wake_one()
  if redis.call('LLEN', WAKE) == 0 then redis.call('RPUSH', WAKE, '1') end
end

local function running_of(tenant)
  return counted(tenant, 'running') + counted(tenant, 'cancelling')
end

local function weight_of(tenant)
  return tonumber(redis.call('HGET', TENANTS, tenant .. ':weight') or 1)
end

-- How many jobs a tenant may have running, nil for no limit.
local function cap_of(tenant)
  return tonumber(redis.call('HGET', TENANTS, tenant .. ':max_running') or nil)
end

-- To be called whenever a tenant's due jobs, running jobs or settings have changed. One that becomes ready wakes a
-- worker; for one that was ready already somebody has been woken, or all are busy.
local function rank(tenant)
  local due = redis.call('ZRANGEBYSCORE', queue_of(tenant), '-inf', now, 'LIMIT', 0, 1)[1]
  local running, cap = running_of(tenant), cap_of(tenant)
  if not due or (cap and running >= cap) then
    return redis.call('ZREM', READY, tenant)
  end
  local turns = tonumber(redis.call('HGET', TURNS_TAKEN, tenant) or 0)
  local score = string.format('%.17g', running / weight_of(tenant) + turns * TIE)
  if redis.call('ZADD', READY, score, tenant) == 1 then wake_one() end
end

-- A job of this tenant has been taken.
local function served(tenant)
  local own, last = unpack(redis.call('HMGET', TURNS_TAKEN, tenant, ''))
  local start = math.max(tonumber(own or 0), tonumber(last or 0))
  if start > FORGET then
    redis.call('DEL', TURNS_TAKEN)
    start = 0
  end
  redis.call('HSET', TURNS_TAKEN, tenant, string.format('%.17g', start + 1 / weight_of(tenant)),
             '', string.format('%.17g', start))
end

-- A tenant without unfinished jobs leaves nothing behind here.
local function forget(tenant)
  if redis.call('EXISTS', queue_of(tenant)) == 1 then return end
  redis.call('HDEL', TENANTS, tenant .. ':weight', tenant .. ':max_running')
  redis.call('HDEL', TURNS_TAKEN, tenant)
  if redis.call('EXISTS', COUNTS) == 0 then redis.call('DEL', TURNS_TAKEN) end
end
