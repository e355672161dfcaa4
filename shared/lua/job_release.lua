-- job_release: gives an unfinished job back to the queue, with its journal, if it is still this worker's.
-- A job that is being cancelled ends cancelled instead. Repeated after a lost answer it says 'lost', which it is.
-- USES job_common job_outbox job_states job_waking job_fairness job_pace job_reserved job_sessions job_ending
-- KEYS
-- ARGV id owner claim delay_ms wait_reason tally_of pool behind_ms retention_ms
--   claim      the number of the claim that it is given back from, so that a repeat cannot hit the next one; 0 for any
--   delay_ms   0 puts it back to its old place; more parks it for so long
--   tally_of   a counter of the record to move by one, such as parks or failures, or '' for none
--   pool       '' or the pool whose provider fails: the first job that is parked because of it comes back after delay_ms
--              to try it; until then all others are told to come after behind_ms, or when they are woken (jobs_wake)
-- RETURNS the status it has now, or 'lost' when the job is not this worker's

if redis.call('HGET', LEASES, id) ~= owner then return 'lost' end
local job = read(id)
if tonumber(claim) > 0 and tonumber(claim) ~= tonumber(job.claims) then return 'lost' end
local because = job.status == 'running' and '"wait_reason":"' .. wait_reason .. '"' or nil
if not transition(job, 'release', because) then return redis.error_reply('a job cannot be released now') end
if FINISHED[job.status] then
  retire(job, retention_ms)
  return job.status
end

local function due()
  if pool == '' then return now + delay_ms end
  redis.call('ZADD', PARKED .. pool, job.place, id)
  redis.call('PEXPIRE', PARKED .. pool, DAY_MS)
  local first = redis.call('SET', CANARY .. pool, id, 'PX', delay_ms, 'NX')
  return now + (first and delay_ms or behind_ms)
end

unlease(job)
redis.call('HSET', job.key, 'wait_reason', wait_reason)
count_wait(job.tenant, wait_reason, 1)
if tally_of ~= '' then redis.call('HINCRBY', job.key, tally_of, 1) end
if tonumber(delay_ms) > 0 then
  local at = due()
  redis.call('ZADD', job.queue, 'XX', at, id)
  redis.call('ZADD', RETURNING, at, id)
  redis.call('HSET', job.key, 'next_attempt_ms', at)
  call_the_watch(at)
else
  redis.call('ZADD', job.queue, 'XX', job.place, id)
end
rank(job.tenant)
return job.status
