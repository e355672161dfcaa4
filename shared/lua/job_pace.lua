-- job_pace: how fast the queue moves. Jobs per second = slots of the living workers / mean time that a job keeps a
-- slot. The mean is over jobs that ended, of all the times they held a slot: the plain mean of the first ten, then an
-- exponentially weighted one. So it is known from the first end on and does not sink when there is nothing to do.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines learn_pace, pace, in_nobodys_way

local MEMORY = 10
local STALE_MS = 60000

local function learn_pace(busy_ms)
  local ended, mean = unpack(redis.call('HMGET', PACE, 'ended', 'busy_ms'))
  local count = (tonumber(ended) or 0) + 1
  mean = tonumber(mean or busy_ms)
  mean = mean + (busy_ms - mean) / math.min(count, MEMORY)
  redis.call('HSET', PACE, 'busy_ms', string.format('%.3f', mean), 'ended', count)
  redis.call('PEXPIRE', PACE, DAY_MS)
end

-- {waiting, running, slots, mean ms that a job keeps a slot or -1 while none has ended, now}
local function pace()
  local slots, summed_ms, busy_ms = unpack(redis.call('HMGET', PACE, 'slots', 'summed_ms', 'busy_ms'))
  if not summed_ms or now - summed_ms > STALE_MS then slots = 0 end  -- nobody has looked for long: nobody is there
  local all = tally('')
  return {all.queued, all.running, tonumber(slots or 0), math.ceil(tonumber(busy_ms or -1)), now}
end

-- How many jobs wait that keep nobody back: those parked for a time or a provider, and those whose session is busy.
local function in_nobodys_way()
  return redis.call('ZCARD', RETURNING) + (redis.call('HGET', WAITS, ':session_busy') or 0)
end
