-- fleet_sweep: the worker that has the watch sees to all that time brings about: jobs of dead workers, parked and
-- scheduled jobs that are due, jobs that expire, questions to a person that do, entries of a stock arq client, lost
-- wake-ups.
-- A killed process is silent, and the system has closed its connections: nobody listens to its channel. Both together
-- are a death, noticed sooner than by its lease. One that is stopped, or cut off without its connections being closed,
-- keeps its jobs for the lease.
-- USES job_common job_outbox job_states job_waking job_fairness job_pace job_reserved job_sessions job_ending job_leases job_actions
-- KEYS
-- ARGV owner lease_ms silent_ms judge_by_ms watch_ms retention_ms
--   silent_ms   silence after which a worker that nobody listens for is dead
--   judge_by_ms until when, by Redis' clock, others' silence means anything to this worker; 0 for not at all. It must
--               itself have been in touch for longer than that, else Redis was away; and when it is later here than it
--               can be, the clock was set, and all look silent
--   watch_ms    how long it keeps the watch without another sweep, twelve times as long while no job is held
-- RETURNS {now, ms until something is due or -1 for nothing, how many jobs are held}, or {} when another has the watch

local MOST_AT_ONCE = 500    -- how much one sweep does; the next one goes on
local COUNTED_MS = 15000    -- whose slots count: an idle worker gives a sign of life every few seconds

if redis.call('GET', WATCH) ~= owner then return {} end
local held = redis.call('HLEN', LEASES)
redis.call('SET', WATCH, owner, 'PX', held == 0 and 12 * watch_ms or watch_ms)

-- Gives back what a dead worker held; it is forgotten when that is done, so that nothing is left with it.
local function bury(worker)
  local ids, held_by = redis.call('SMEMBERS', HELD .. worker), HELD .. worker
  for i = 1, math.min(#ids, MOST_AT_ONCE) do
    local job = read(ids[i])
    if job and redis.call('HGET', LEASES, ids[i]) == worker then lapse(job, worker, retention_ms) end
    redis.call('SREM', held_by, ids[i])
    if not job then redis.call('HDEL', LEASES, ids[i]) end
  end
  if #ids > MOST_AT_ONCE then return end
  redis.call('SREM', WORKERS, worker)
  redis.call('DEL', ALIVE .. worker, CLAIMED .. worker)
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
  redis.call('HSET', PACE, 'slots', slots, 'summed_ms', now)
  redis.call('PEXPIRE', PACE, DAY_MS)
  if held == 0 then redis.call('PEXPIRE', WORKERS, DAY_MS) end
  return dead
end

-- Parked and scheduled jobs go to their place.
local function give_back()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', RETURNING, '-inf', now, 'LIMIT', 0, MOST_AT_ONCE)) do
    redis.call('ZREM', RETURNING, id)
    local job = read(id)
    if job and job.status == 'queued' then put_back(job) end
  end
end

-- Jobs whose time to live has passed before they ever started.
local function expire()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', EXPIRING, '-inf', now, 'LIMIT', 0, MOST_AT_ONCE)) do
    redis.call('ZREM', EXPIRING, id)
    local job = read(id)
    if job and transition(job, 'expire') then retire(job, retention_ms) end
  end
end

-- Jobs whose questions nobody has answered in time go on without.
local function give_up_asking()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', DECIDING, '-inf', now, 'LIMIT', 0, MOST_AT_ONCE)) do
    redis.call('ZREM', DECIDING, id)
    local job = read(id)
    if job and job.asks then
      for action in string.gmatch(job.asks, '%S+') do
        local record = redis.call('HGET', job.key .. ACTIONS, action .. ':lapsed')
        close_action(job, action, 'expired', '{"decision":"expired"}', record)
      end
      go_on(job)
    end
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
if now <= tonumber(judge_by_ms) then
  for _, worker in ipairs(dead) do bury(worker) end
end
local first = math.min(first_of(RETURNING, give_back) or math.huge, first_of(EXPIRING, expire) or math.huge,
                       first_of(DECIDING, give_up_asking) or math.huge)
-- A stock client tells nobody that it has enqueued something.
local stock = tonumber(redis.call('ZRANGE', ARQ_QUEUE, 0, 0, 'WITHSCORES')[2] or nil)
if stock and stock <= now then rank(DEFAULT_TENANT) end
if stock and stock > now then first = math.min(first, stock) end
if redis.call('ZCARD', READY) > 0 then wake_one() end
return {now, first < math.huge and math.max(1, math.ceil(first - now)) or -1, held}
