-- job_claim: takes up to `wanted` due jobs, from the tenant whose turn it is, again and again. Safe to repeat with the
-- same ticket after a lost answer.
-- USES job_common job_outbox job_states job_waking job_fairness job_pace job_reserved job_sessions job_ending job_leases
-- KEYS
-- ARGV owner ticket wanted suspects
--   ticket     a number of this claim; the one before it has been answered
--   suspects   how many suspects this worker may take: jobs that have seen two workers or more die. They run one at
--              a time, so that a job that kills its worker does not take the same neighbours down again and again;
--              one death alone says little, as it makes suspects of all that ran there
-- RETURNS {now, jobs, strangers, anew}
--           jobs = {id, record, id, record, …}; record = flat HGETALL
--           strangers = {id, blob, id, blob, …}: what a stock arq client enqueued; blob is '' when it is no JSON
--           anew = 1 when this worker may have been taken for dead before: what it held may be lost

local SUSPECT_PAUSE_MS = 2000
local MOST_LOOKED_AT = 200
local MOST_BYTES = 4e6  -- of records in one answer, which Redis builds while all others wait

local answered = CLAIMED .. owner
local free, leftover, looked = tonumber(wanted), tonumber(suspects), 0
local taken, jobs, strangers, anew, bytes = {}, {}, {}, 0, 0

local function hand_over(id)
  jobs[#jobs + 1] = id
  local record = redis.call('HGETALL', JOB .. id)
  for i = 2, #record, 2 do bytes = bytes + #record[i] end
  jobs[#jobs + 1] = record
end

local before = redis.call('LRANGE', answered, 0, -1)
if before[1] == ticket then
  for i = 2, #before do
    if redis.call('HGET', LEASES, before[i]) == owner then hand_over(before[i]) end
  end
  return {now, jobs, strangers, 1}
end

local function take(job)
  lease(job.id, job.queue, owner)
  redis.call('HSET', job.key, 'claimed_ms', now, 'started_ms', job.started_ms or now, 'claims', (job.claims or 0) + 1)
  if job.wait_reason then
    redis.call('HDEL', job.key, 'wait_reason', 'next_attempt_ms')
    count_wait(job.tenant, job.wait_reason, -1)
    redis.call('ZREM', RETURNING, job.id)  -- its pause was over before the watch saw it
  end
  if job.expires_ms and not job.started_ms then redis.call('ZREM', EXPIRING, job.id) end
  transition(job, 'claim')
  served(job.tenant)
  hand_over(job.id)
  taken[#taken + 1] = job.id
  free = free - 1
end

local function meet_stranger(id, queue)
  redis.call('ZADD', queue, 'XX', now + 60000, id)  -- for a stock worker, or for another look
  local blob = redis.call('GET', ARQ_JOB .. id)
  if not blob then return redis.call('ZREM', queue, id) end
  strangers[#strangers + 1] = id
  strangers[#strangers + 1] = pcall(cjson.decode, blob) and blob or ''
end

-- Every entry looked at leaves the window of due entries, so this ends.
local function look_at(id, queue)
  local job, held_ms = read(id), redis.call('PTTL', ARQ_IN_PROGRESS .. id)
  if held_ms > 0 then                     -- a living holder: arq's Job.abort() set the score back
    redis.call('ZADD', queue, 'XX', now + held_ms + 1, id)
  elseif not job then
    meet_stranger(id, queue)
  elseif FINISHED[job.status] then        -- a stale entry
    redis.call('ZREM', queue, id)
  elseif job.status ~= 'queued' then      -- its worker has been silent for long: the watch is to see to it
    local holder = redis.call('HGET', LEASES, id)
    if holder then redis.call('SADD', WORKERS, holder) end
    redis.call('ZADD', queue, 'XX', now + 1000, id)
  elseif job.expires_ms and not job.started_ms and tonumber(job.expires_ms) <= now then  -- the watch is to end it
    redis.call('ZADD', queue, 'XX', now + 1000, id)
    call_the_watch(now)
  elseif not goes_ahead(job) then         -- arq's Job.abort(), again
    hold_back(job)
    announce(job)
  elseif tonumber(job.crashes or 0) < SUSPECT_CRASHES then
    take(job)
  elseif leftover > 0 then
    leftover = leftover - 1
    take(job)
  else
    redis.call('ZADD', queue, 'XX', now + SUSPECT_PAUSE_MS, id)
    redis.call('ZADD', RETURNING, now + SUSPECT_PAUSE_MS, id)
    call_the_watch(now + SUSPECT_PAUSE_MS)
  end
end

local held = redis.call('HLEN', LEASES)
while free > 0 and looked < MOST_LOOKED_AT and bytes < MOST_BYTES do
  local tenant = redis.call('ZRANGE', READY, 0, 0)[1]
  if not tenant then break end
  local queue = queue_of(tenant)
  local due = redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, 2)
  if due[1] then look_at(due[1], queue) end
  rank(tenant, due[2])
  looked = looked + 1
end

if taken[1] then
  if redis.call('PEXPIRE', ALIVE .. owner, DAY_MS) == 0 then  -- it has not spoken yet, or was taken for dead
    redis.call('SET', ALIVE .. owner, free, 'PX', DAY_MS)
    anew = 1
  end
  redis.call('SADD', WORKERS, owner)
  redis.call('PERSIST', WORKERS)
  redis.call('DEL', answered)
  redis.call('RPUSH', answered, ticket, unpack(taken))
  redis.call('PEXPIRE', answered, DAY_MS)
  if held == 0 then call_the_watch(now) end  -- from now on somebody's death matters
end
if redis.call('ZCARD', READY) > 0 then
  wake_one()                              -- work is left: pass the baton to another idle worker
else
  redis.call('DEL', WAKE)
end
return {now, jobs, strangers, anew}
