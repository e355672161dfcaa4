-- job_claim: takes up to `count` due jobs under a lease. The lease is the job's score in the queue: while it lasts
-- the job is not due, and when its worker dies it becomes due again by itself, at its old place.
-- KEYS queue leases wake
-- ARGV owner lease_ms count suspects
--   suspects   how many suspects this worker may take: jobs that have seen two workers or more die. They run one at
--              a time, so that a job that kills its worker does not take the same neighbours down again and again;
--              one death alone says little, as it makes suspects of all that ran there
-- RETURNS {ms until the next job is due or -1 for none, now (ms), id, record, id, record, …}; record = flat HGETALL
--         A job whose lease this owner itself let lapse comes too, with a new lease: it may be running there still.
--         After a lost answer what it held comes so, too, when its lease has lapsed.

local free, leftover = tonumber(count), tonumber(suspects)
local taken, looked = {-1, now}, 0

sign_of_life(queue, leases, lease_ms)

for _, id in ipairs(redis.call('ZRANGEBYSCORE', RETURNING, '-inf', now, 'LIMIT', 0, 1000)) do
  local place = redis.call('HGET', JOB .. id, 'place')
  if place then redis.call('ZADD', queue, 'XX', place, id) end
  redis.call('ZREM', RETURNING, id)
end

local function take(id, holder)
  local job = JOB .. id
  local died = holder and holder ~= owner  -- our own lapsed lease means that Redis was away, not that we died
  if died then redis.call('HINCRBY', job, 'crashes', 1) end
  local suspect = tonumber(redis.call('HGET', job, 'crashes') or 0) >= SUSPECT_CRASHES
  if suspect and leftover < 1 then
    if died then redis.call('HDEL', leases, id) end  -- this death is counted; do not count it again
    redis.call('ZADD', queue, 'XX', now + 500, id)
    redis.call('ZADD', RETURNING, now + 500, id)
    return
  end
  if suspect then leftover = leftover - 1 end
  lease(id, queue, leases, owner, lease_ms)
  transition(id, 'claim')
  redis.call('HSETNX', job, 'started_ms', now)
  redis.call('HDEL', job, 'wait_reason', 'next_attempt_ms')
  announce(id)
  taken[#taken + 1] = id
  taken[#taken + 1] = redis.call('HGETALL', job)
  free = free - 1
end

-- Every entry looked at leaves the window of due entries, so this ends.
while free > 0 and looked < 1000 do
  local due = redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, free)
  if #due == 0 then break end
  for _, id in ipairs(due) do
    looked = looked + 1
    local held_ms = redis.call('PTTL', ARQ_IN_PROGRESS .. id)
    local status = redis.call('HGET', JOB .. id, 'status')
    if held_ms > 0 then                              -- a living holder: arq's Job.abort() set the score back
      redis.call('ZADD', queue, 'XX', now + held_ms + 1, id)
    elseif not status then                           -- put there by a stock client, whose jobs nobody runs yet
      redis.call('ZADD', queue, 'XX', now + 60000, id)
    elseif FINISHED[status] then                     -- a stale entry
      redis.call('ZREM', queue, id)
    else
      take(id, redis.call('HGET', leases, id))
    end
  end
end

local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
if first[2] then
  taken[1] = math.max(0, math.floor(tonumber(first[2]) - now))
  if taken[1] == 0 then wake_one(wake) end           -- work is left: pass the baton to another idle worker
end
return taken
