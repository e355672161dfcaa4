-- fleet_read: the workers there are. Changes nothing.
-- USES job_common
-- KEYS
-- ARGV
-- RETURNS {{worker, slots, ms since its last sign of life or -1, 1 when it has the watch, how many jobs it holds}, …}

local workers, watch = redis.call('SMEMBERS', WORKERS), redis.call('GET', WATCH)
table.sort(workers)
for i, worker in ipairs(workers) do
  local slots, lives_ms = redis.call('GET', ALIVE .. worker), redis.call('PTTL', ALIVE .. worker)
  local silent_ms = slots and DAY_MS - lives_ms or -1
  local held = redis.call('SCARD', HELD .. worker)
  workers[i] = {worker, tonumber(slots or 0), silent_ms, worker == watch and 1 or 0, held}
end
return workers
