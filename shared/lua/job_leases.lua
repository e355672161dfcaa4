-- job_leases: who holds which job. A worker lives by its signs of life (shared/fleet.py), one for all that it holds, so
-- that a job that merely runs costs Redis nothing. Its own score in the queue is a backstop: so much later it becomes
-- due by itself, for whoever looks at the queue with arq's eyes while nobody of ours is left.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines lease, put_back, lapse

local BACKSTOP_MS = 600000

-- A worker has the job: it is not due, and arq's clients see it in progress.
local function lease(id, queue, owner)
  redis.call('ZADD', queue, 'XX', now + BACKSTOP_MS, id)
  redis.call('HSET', LEASES, id, owner)
  redis.call('SADD', HELD .. owner, id)
  redis.call('SET', ARQ_IN_PROGRESS .. id, owner, 'PX', BACKSTOP_MS)
end

-- A job that waits goes to its place in its queue, or waits for its session.
local function put_back(job)
  if goes_ahead(job) then
    redis.call('ZADD', job.queue, 'XX', job.place, job.id)
  else
    hold_back(job)
    announce(job)
  end
  rank(job.tenant)
end

-- The worker that held it has died, or was silent for a whole lease: the job waits again at its old place.
local function lapse(job, owner, retention_ms)
  local story = redis.call('HGET', job.key, 'deaths')
  local line = string.format('%.0f ', now) .. owner
  redis.call('HSET', job.key, 'deaths', story and story .. '\n' .. line or line)
  redis.call('HINCRBY', job.key, 'crashes', 1)
  transition(job, 'lapse', '"worker_lost":true')
  if FINISHED[job.status] then return retire(job, retention_ms) end
  unlease(job)
  put_back(job)
end
