-- job_claim: takes up to `wanted` due jobs under a lease, from the tenant whose turn it is, again and again.
-- The lease is the job's score in its queue: while it lasts the job is not due, and when its worker dies it becomes
-- due again by itself, at its old place.
-- USES job_common job_fairness job_pace job_ending job_leases
-- KEYS
-- ARGV owner slots lease_ms retention_ms wanted suspects
--   slots      how many jobs this worker can run in all
--   suspects   how many suspects this worker may take: jobs that have seen two workers or more die. They run one at
--              a time, so that a job that kills its worker does not take the same neighbours down again and again;
--              one death alone says little, as it makes suspects of all that ran there
-- RETURNS {ms until something is due or -1 for nothing known, now, jobs, strangers}
--           jobs = {id, record, id, record, …}; record = flat HGETALL. A job whose lease this owner itself let lapse
--           comes too, with a new lease: it may be running there still. So comes what was in a lost answer.
--           strangers = {id, blob, id, blob, …}: what a stock arq client enqueued; blob is '' when it is no JSON

local free, leftover, looked = tonumber(wanted), tonumber(suspects), 0
local jobs, strangers = {}, {}

local function hand_over(id)
  jobs[#jobs + 1] = id
  jobs[#jobs + 1] = redis.call('HGETALL', JOB .. id)
end

sign_of_life(owner, slots, lease_ms)
for _, id in ipairs(sweep(owner, retention_ms)) do
  lease(id, queue_of(redis.call('HGET', JOB .. id, 'tenant')), owner, lease_ms)
  hand_over(id)
end
rank(DEFAULT_TENANT)  -- a stock client tells nobody that it has enqueued something

local function take(job)
  lease(job.id, job.queue, owner, lease_ms)
  redis.call('HSET', job.key, 'claimed_ms', now, 'started_ms', job.started_ms or now)
  if job.wait_reason then redis.call('HDEL', job.key, 'wait_reason', 'next_attempt_ms') end
  if job.expires_ms and not job.started_ms then redis.call('ZREM', EXPIRING, job.id) end
  transition(job, 'claim')
  served(job.tenant)
  hand_over(job.id)
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
  elseif job.status ~= 'queued' then      -- the next sweep will give it back
    redis.call('ZADD', queue, 'XX', now + 1000, id)
  elseif tonumber(job.crashes or 0) < SUSPECT_CRASHES then
    take(job)
  elseif leftover > 0 then
    leftover = leftover - 1
    take(job)
  else
    redis.call('ZADD', queue, 'XX', now + 500, id)
    redis.call('ZADD', RETURNING, now + 500, id)
  end
end

while free > 0 and looked < 1000 do
  local tenant = redis.call('ZRANGE', READY, 0, 0)[1]
  if not tenant then break end
  local queue = queue_of(tenant)
  local due = redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, 2)
  if due[1] then look_at(due[1], queue) end
  rank(tenant, due[2])
  looked = looked + 1
end

-- One worker, not all, is told to the millisecond when the next job is due; the others look again when they sweep.
local function due_in()
  local first
  for _, times in ipairs({RETURNING, EXPIRING}) do
    local at = tonumber(redis.call('ZRANGE', times, 0, 0, 'WITHSCORES')[2])
    if at and (not first or at < first) then first = at end
  end
  if not first then return -1 end
  local ms = math.max(1, math.ceil(first - now))
  local told = redis.call('GET', TIMEKEEPER)
  if told then
    local at, who = string.match(told, '^(%S+) (.*)$')
    if tonumber(at) <= first and who ~= owner then return -1 end
  end
  redis.call('SET', TIMEKEEPER, string.format('%.0f ', first) .. owner, 'PX', ms)
  return ms
end

if redis.call('ZCARD', READY) > 0 then
  wake_one()                              -- work is left: pass the baton to another idle worker
  return {0, now, jobs, strangers}
end
redis.call('DEL', WAKE)
return {due_in(), now, jobs, strangers}
