-- job_place: how many jobs go before one that waits.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines place_of

-- How many jobs start before this one. Its own tenant's are counted; of every other tenant that is ready
-- as many are expected to slip in between as the fair turn lets, taken together and with equal weights.
local function ahead_of(id, tenant)
  local own = redis.call('ZRANK', queue_of(tenant), id)
  if not own then return -1 end
  local others = tally('').queued - tally(tenant).queued
  if others > 0 then others = others - in_nobodys_way() end
  if others <= 0 then return own end
  local rivals = redis.call('ZCARD', READY)
  if redis.call('ZSCORE', READY, tenant) then rivals = rivals - 1 end
  return own + math.min(others, (own + 1) * rivals)
end

-- How many jobs start before this one, and how many of its session must end before it can: -1 while that may take any
-- time, since the live one waits for something else than its turn.
local function place_of(job)
  if job.wait_reason ~= 'session_busy' then return ahead_of(job.id, job.tenant), 0 end
  local before, live = redis.call('ZRANK', session_of(job) .. LINE, job.id), live_job(job)
  local status, next_ms = unpack(redis.call('HMGET', JOB .. live, 'status', 'next_attempt_ms'))
  if status == 'running' or status == 'cancelling' then return before - 1, before end
  if status ~= 'queued' or next_ms then return before, -1 end
  return ahead_of(live, job.tenant) + before, before
end
