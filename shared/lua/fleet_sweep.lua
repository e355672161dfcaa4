-- fleet_sweep: the worker that has the watch sees to all that time brings about: jobs of dead workers, parked and
-- scheduled jobs that are due, jobs that expire, entries of a stock arq client, lost wake-ups.
-- A killed process is silent, and the system has closed its connections: nobody listens to its channel. Both together
-- are a death, noticed sooner than by its lease. One that is only stopped, or cut off, keeps its jobs for the lease.
-- USES job_common job_fairness job_pace job_ending job_leases
-- KEYS
-- ARGV owner lease_ms silent_ms judge watch_ms retention_ms
--   silent_ms   silence after which a worker that nobody listens for is dead
--   judge       1 when this worker has itself been in touch for longer than that: only then others' silence means
--               anything, and not that Redis was away
--   watch_ms    how long it keeps the watch without another sweep, five times as long while no job is held
-- RETURNS {ms until something is due or -1 for nothing, how many jobs are held}, or {} when another has the watch

local MOST_AT_ONCE = 500    -- how much one sweep does; the next one goes on
local COUNTED_MS = 15000    -- whose slots count: an idle worker gives a sign of life every few seconds

if redis.call('GET', WATCH) ~= owner then return {} end
local held = redis.call('HLEN', LEASES)
redis.call('SET', WATCH, owner, 'PX', held == 0 and 5 * watch_ms or watch_ms)

local function bury(dead)
  for _, worker in ipairs(dead) do
    redis.call('SREM', WORKERS, worker)
    redis.call('DEL', ALIVE .. worker, CLAIMED .. worker)
  end
  local held = redis.call('HGETALL', LEASES)
  for i = 1, #held, 2 do
    for _, worker in ipairs(dead) do
      if held[i + 1] == worker then lapse(read(held[i]), worker, retention_ms) end
    end
  end
end

-- The slots of the living; and who is dead, or was silent for a whole lease.
local function roll_call()
  local slots, dead = 0, {}
  for _, worker in ipairs(redis.call('SMEMBERS', WORKERS)) do
    local age = DAY_MS - redis.call('PTTL', ALIVE .. worker)
    if age > tonumber(lease_ms)
        or (age > tonumber(silent_ms) and redis.call('PUBSUB', 'NUMSUB', CONTROL .. worker)[2] == 0) then
      dead[#dead + 1] = worker
    elseif age < COUNTED_MS then
      slots = slots + redis.call('GET', ALIVE .. worker)
    end
  end
  redis.call('HSET', PACE, 'slots', slots)
  redis.call('PEXPIRE', PACE, DAY_MS)
  redis.call('PEXPIRE', WORKERS, DAY_MS)
  return dead
end

-- Parked and scheduled jobs go to their place.
local function give_back()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', RETURNING, '-inf', now, 'LIMIT', 0, MOST_AT_ONCE)) do
    redis.call('ZREM', RETURNING, id)
    put_back(read(id))
  end
end

-- Jobs whose time to live has passed before they ever started.
local function expire()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', EXPIRING, '-inf', now, 'LIMIT', 0, MOST_AT_ONCE)) do
    local job = read(id)
    transition(job, 'expire')
    retire(job, retention_ms)
  end
end

-- When the first of these is due, nil for none; what is due already is done first.
local function first_of(times, see_to)
  local at = tonumber(redis.call('ZRANGE', times, 0, 0, 'WITHSCORES')[2] or nil)
  if not at or at > now then return at end
  see_to()
  return tonumber(redis.call('ZRANGE', times, 0, 0, 'WITHSCORES')[2] or nil)
end

local dead = roll_call()
if judge == '1' and #dead > 0 then bury(dead) end
local returning, expiring = first_of(RETURNING, give_back), first_of(EXPIRING, expire)
if redis.call('ZRANGEBYSCORE', ARQ_QUEUE, '-inf', now, 'LIMIT', 0, 1)[1] then
  rank(DEFAULT_TENANT)      -- a stock client tells nobody that it has enqueued something
end
if redis.call('ZCARD', READY) > 0 then wake_one() end
local first = math.min(returning or math.huge, expiring or math.huge)
return {first < math.huge and math.max(1, math.ceil(first - now)) or -1, held}
