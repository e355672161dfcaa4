-- job_sessions: the line of a session, a zset. The first in it is the live job, running or not; each of the others is
-- let in by the end of the one before it (job_ending). While there is a line, nothing of the session has a lifetime.
-- A job's record names its session after the terms on which it was taken in: ms until an idle session is forgotten, and
-- how many bytes of history it may have.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines session_of, live_job, goes_ahead, hold_back

local FAR_OFF_MS = 1e14  -- when a job is due that waits for its session: never by itself

-- What the keys of a job's session begin with, and the terms.
local function session_of(job)
  local idle_ms, most_bytes, id = string.match(job.session, '^(%d+) (%d+) (.+)$')
  return SESSION .. job.tenant .. ':' .. id, tonumber(idle_ms), tonumber(most_bytes)
end

-- The id of the live job of a job's session, nil for none.
local function live_job(job)
  return job.session and redis.call('ZRANGE', session_of(job) .. LINE, 0, 0)[1]
end

-- To be asked of a job that may start now: it takes its place in the line of its session, unless it has one. Returns
-- whether it is the live one, as a job without a session always is.
local function goes_ahead(job)
  if not job.session then return true end
  local live = live_job(job)
  if live == job.id then return true end
  local session = session_of(job)
  local last = redis.call('ZRANGE', session .. LINE, -1, -1, 'WITHSCORES')[2]
  redis.call('ZADD', session .. LINE, 'NX', (last or 0) + 1, job.id)
  if live then return false end
  redis.call('PERSIST', session .. HISTORY)
  redis.call('PERSIST', session .. NOTES)
  return true
end

-- A job that may not go ahead waits for its session, out of sight of whoever claims.
local function hold_back(job)
  redis.call('ZADD', job.queue, FAR_OFF_MS, job.id)
  redis.call('ZREM', RETURNING, job.id)
  if job.wait_reason == 'session_busy' then return end
  if job.wait_reason then count_wait(job.tenant, job.wait_reason, -1) end
  redis.call('HSET', job.key, 'wait_reason', 'session_busy')
  redis.call('HDEL', job.key, 'next_attempt_ms')
  count_wait(job.tenant, 'session_busy', 1)
  job.wait_reason = 'session_busy'
end
