-- job_waking: who is told that there is something to do.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines wake_one, call_the_watch

-- Leaves one token for one idle worker; more would only wake workers for nothing.
local function wake_one()
  if redis.call('LLEN', WAKE) == 0 then redis.call('RPUSH', WAKE, '1') end
end

local COMES_WITHIN_MS = 5000

-- Something is due at this time: sooner perhaps than the worker that has the watch would look by itself.
local function call_the_watch(at)
  local watch = redis.call('GET', WATCH)
  local told = watch and redis.call('PUBLISH', CONTROL .. watch, 'due ' .. string.format('%.0f', math.max(0, at - now)))
  if told == 0 then redis.call('DEL', WATCH) end  -- nobody listens there any more: let another one take it
  redis.call('PEXPIRE', WATCH, math.max(0, at - now) + COMES_WITHIN_MS, 'LT')  -- nor for long if it has died just now
end
