-- job_pace: how fast the queue moves. Jobs per second = slots of the living workers / mean time that a job keeps a
-- slot. The mean is over jobs that ended, of all the times they held a slot: the plain mean of the first ten, then an
-- exponentially weighted one. So it is known from the first end on and does not sink when there is nothing to do.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines learn_pace, pace, ahead_of

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

-- How many jobs start before this one, which waits. Its own tenant's are counted; of every other tenant that is ready
-- as many are expected to slip in between as the fair turn lets, taken together and with equal weights.
local function ahead_of(id, tenant)
  local own = redis.call('ZRANK', queue_of(tenant), id)
  if not own then return -1 end
  local others = tally('').queued - tally(tenant).queued
  if others > 0 then others = others - redis.call('ZCARD', RETURNING) end  -- parked ones are in nobody's way
  if others <= 0 then return own end
  local rivals = redis.call('ZCARD', READY)
  if redis.call('ZSCORE', READY, tenant) then rivals = rivals - 1 end
  return own + math.min(others, (own + 1) * rivals)
end
