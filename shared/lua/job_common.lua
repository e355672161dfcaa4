-- job_common: what the job scripts share; put in front of each of them, after the constants made from
-- shared/keys.py (JOB, TURNS, ARQ_…, RETURNING, …) and from shared/job.py (NEXT, FINISHED, SUSPECT_CRASHES).
-- KEYS
-- ARGV
-- RETURNS nothing: it defines now, announce, transition, lease, sign_of_life, wake_one, waiting, drain_rate, retire

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)  -- ms; a worker's own clock is never asked

-- Tells everybody who follows the job that it changed.
local function announce(id)
  local revision = redis.call('HINCRBY', JOB .. id, 'revision', 1)
  redis.call('PUBLISH', CHANGES, id .. ' ' .. revision .. ' ' .. redis.call('HGET', JOB .. id, 'status'))
end

-- Moves a job by the table. Returns the new status, or nil when the table does not allow it.
local function transition(id, event)
  local from = redis.call('HGET', JOB .. id, 'status')
  local to = from and NEXT[from] and NEXT[from][event]
  if not to then return nil end
  redis.call('HSET', JOB .. id, 'status', to)
  return to
end

-- A worker has the job until its lease ends: it is not due, and arq's clients see it in progress.
local function lease(id, queue, leases, owner, lease_ms)
  redis.call('ZADD', queue, 'XX', now + lease_ms, id)
  redis.call('ZADD', RETURNING, now + lease_ms, id)
  redis.call('HSET', leases, id, owner)
  redis.call('SET', ARQ_IN_PROGRESS .. id, owner, 'PX', lease_ms)
end

-- Every claim and renewal is a sign of life of the fleet. Where none came for a while it was Redis that was away: the
-- workers live, so their leases do, and nobody's jobs are taken for a dead worker's.
local function sign_of_life(queue, leases, lease_ms)
  local alive = redis.call('GET', ALIVE)
  redis.call('SET', ALIVE, now, 'PX', 86400000)
  if alive and now - alive > math.max(3000, lease_ms / 2) then
    local held = redis.call('HGETALL', leases)
    for i = 1, #held, 2 do lease(held[i], queue, leases, held[i + 1], lease_ms) end
  end
end

-- Leaves one token for one idle worker; more would only wake workers for nothing.
local function wake_one(wake)
  if redis.call('LLEN', wake) == 0 then redis.call('RPUSH', wake, '1') end
end

-- How many jobs are waiting: all that are unfinished, less those that a worker holds.
local function waiting(queue, leases)
  return redis.call('ZCARD', queue) - redis.call('HLEN', leases)
end

-- How many jobs end per second, as an exponentially decaying mean over a minute; 0 while nothing has ended.
local DRAIN_MS = 60000
local function drain_rate(drain)
  local seen = redis.call('HMGET', drain, 'count', 'at', 'since')
  if not seen[1] then return 0, 0 end
  local count = tonumber(seen[1]) * math.exp((seen[2] - now) / DRAIN_MS)
  local watched = math.max(now - seen[3], 5000)
  return count / (DRAIN_MS / 1000 * (1 - math.exp(-watched / DRAIN_MS))), count
end

-- A job has ended: takes it out of the queue, leaves arq's result, gives everything of it a lifetime.
local function retire(id, queue, leases, drain, retention_ms)
  local job = JOB .. id
  local status, started_ms, idempotency = unpack(redis.call('HMGET', job, 'status', 'started_ms', 'idempotency'))
  redis.call('ZREM', queue, id)
  redis.call('ZREM', RETURNING, id)
  redis.call('HDEL', leases, id)
  redis.call('DEL', ARQ_IN_PROGRESS .. id, ARQ_RETRY .. id)
  redis.call('HSET', job, 'finished_ms', now)
  redis.call('HDEL', job, 'wait_reason', 'next_attempt_ms')

  local said = redis.call('HGET', job, 'said')
  if said and status == 'cancelled' then redis.call('HSETNX', job, 'output', said) end
  redis.call('HDEL', job, 'said')

  if started_ms then
    local _, count = drain_rate(drain)
    redis.call('HSET', drain, 'count', count + 1, 'at', now)
    redis.call('HSETNX', drain, 'since', now)
  end

  local blob = redis.call('GET', ARQ_JOB .. id)
  if blob then
    local asked = cjson.decode(blob)
    redis.call('SET', ARQ_RESULT .. id, cjson.encode({
      t = 1, f = asked.f, a = {id}, k = {}, et = asked.et, s = status == 'succeeded', r = status,
      st = tonumber(started_ms or now), ft = now, q = queue, id = id,
    }), 'PX', retention_ms)
    redis.call('DEL', ARQ_JOB .. id)
  end

  redis.call('PEXPIRE', job, retention_ms)
  redis.call('PEXPIRE', job .. TURNS, retention_ms)
  redis.call('PEXPIRE', job .. NOTES, retention_ms)
  if idempotency then redis.call('PEXPIRE', idempotency, math.max(retention_ms, 86400000)) end
end
