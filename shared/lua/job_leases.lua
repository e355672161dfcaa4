-- job_leases: who holds which job, who lives, and what comes back by itself. Every claim, beat and renewal calls
-- sign_of_life and then sweep, so that dead workers' jobs, parked jobs and expired ones move on as long as anybody
-- lives, without a process of its own for it.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines lease, sign_of_life, sweep

local SILENT_MS = 3000      -- a worker that holds jobs gives a sign of life every second
local MOST_AT_ONCE = 500    -- how much one sweep does; the next one goes on

-- A worker has the job until its lease ends: it is not due, and arq's clients see it in progress.
local function lease(id, queue, owner, lease_ms)
  redis.call('ZADD', queue, 'XX', now + lease_ms, id)
  redis.call('ZADD', RETURNING, now + lease_ms, id)
  redis.call('HSET', LEASES, id, owner)
  redis.call('SET', ARQ_IN_PROGRESS .. id, owner, 'PX', lease_ms)
end

-- How many slots the living workers have, summed up once a second.
local function sum_slots()
  if redis.call('SET', PACE_FRESH, '1', 'NX', 'PX', 1000) then
    local living, slots = redis.call('ZRANGEBYSCORE', WORKERS, now - 2 * SILENT_MS, '+inf'), 0
    for _, worker in ipairs(living) do slots = slots + (redis.call('HGET', SLOTS, worker) or 0) end
    redis.call('HSET', PACE, 'slots', slots)
    redis.call('PEXPIRE', PACE, DAY_MS)
  end
end

-- This worker lives. Where nobody at all has said so for a while it was Redis that was away: then all are taken to
-- live, their leases begin anew, and nobody's jobs are taken for a dead worker's.
local function sign_of_life(owner, slots, lease_ms)
  local latest = redis.call('ZREVRANGE', WORKERS, 0, 0, 'WITHSCORES')[2]
  if latest and now - latest > math.max(SILENT_MS, lease_ms / 2) then
    for _, worker in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do redis.call('ZADD', WORKERS, now, worker) end
    local held = redis.call('HGETALL', LEASES)
    for i = 1, #held, 2 do
      lease(held[i], queue_of(redis.call('HGET', JOB .. held[i], 'tenant')), held[i + 1], lease_ms)
    end
  end
  redis.call('ZADD', WORKERS, now, owner)
  redis.call('HSET', SLOTS, owner, slots)
  redis.call('PEXPIRE', WORKERS, DAY_MS)
  redis.call('PEXPIRE', SLOTS, DAY_MS)
  sum_slots()
end

-- A killed process is silent, and the system has closed its connections: nobody listens to its channel. Both together
-- are a death, noticed sooner than by its leases. One that is only stopped, or cut off, keeps its leases to their end.
local function bury_the_dead()
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', WORKERS, '-inf', now - SILENT_MS, 'LIMIT', 0, MOST_AT_ONCE)) do
    if redis.call('PUBSUB', 'NUMSUB', CONTROL .. worker)[2] == 0 then
      redis.call('ZREM', WORKERS, worker)
      redis.call('HDEL', SLOTS, worker)
      local held = redis.call('HGETALL', LEASES)
      for i = 1, #held, 2 do
        if held[i + 1] == worker then redis.call('ZADD', RETURNING, now, held[i]) end
      end
    end
  end
end

-- A job that waits goes to its place in its queue.
local function put_back(job)
  redis.call('ZADD', job.queue, 'XX', job.place, job.id)
  rank(job.tenant)
end

-- The worker that held it has died, or was silent for a whole lease: the job waits again at its old place.
local function lapse(job, owner, retention_ms)
  local story = redis.call('HGET', job.key, 'deaths')
  local line = string.format('%.0f ', now) .. owner
  redis.call('HSET', job.key, 'deaths', story and story .. '\n' .. line or line)
  redis.call('HINCRBY', job.key, 'crashes', 1)
  transition(job, 'lapse')
  if FINISHED[job.status] then return retire(job, retention_ms) end
  unlease(job)
  put_back(job)
end

-- What is due to come back does: lapsed leases, parked and scheduled jobs. Leases of this owner's own that lapsed are
-- returned as they are: either Redis was away, or the answer to its claim was lost.
local function give_back(owner, retention_ms)
  local own = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', RETURNING, '-inf', now, 'LIMIT', 0, MOST_AT_ONCE)) do
    local holder = redis.call('HGET', LEASES, id)
    if holder == owner then
      own[#own + 1] = id
    elseif holder then
      lapse(read(id), holder, retention_ms)
    else
      redis.call('ZREM', RETURNING, id)
      put_back(read(id))
    end
  end
  return own
end

-- Jobs whose time to live has passed before they ever started.
local function expire(retention_ms)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', EXPIRING, '-inf', now, 'LIMIT', 0, MOST_AT_ONCE)) do
    local job = read(id)
    transition(job, 'expire')
    retire(job, retention_ms)
  end
end

-- Returns the jobs whose lease this owner itself had let lapse.
local function sweep(owner, retention_ms)
  bury_the_dead()
  expire(retention_ms)
  return give_back(owner, retention_ms)
end
