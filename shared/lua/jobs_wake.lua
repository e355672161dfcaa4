-- jobs_wake: some of the jobs that are parked because a pool's provider failed are due now, those first that stand
-- first in their queues. A message that gets lost costs nothing but time: each job is due by itself, too.
-- USES job_common job_outbox job_states job_waking job_fairness job_pace job_reserved job_sessions job_ending job_leases
-- KEYS
-- ARGV pool most
-- RETURNS how many may be left

local MOST_LOOKED_AT = 200

local parked, woken = PARKED .. pool, 0
for _ = 1, MOST_LOOKED_AT do
  local id = woken < tonumber(most) and redis.call('ZPOPMIN', parked)[1]
  if not id then break end
  local job = read(id)
  local waits = job and job.status == 'queued' and job.wait_reason == 'provider_outage'
  if waits and redis.call('ZREM', RETURNING, id) == 1 then  -- and has not come by its own time before
    put_back(job)
    redis.call('HSET', job.key, 'next_attempt_ms', now)
    announce(job)
    woken = woken + 1
  end
end
return redis.call('ZCARD', parked)
