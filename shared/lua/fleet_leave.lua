-- fleet_leave: a worker goes, and lays down the watch if it has it. One that could not give back all that it held is
-- left to be buried: without a sign of life that is at once.
-- KEYS
-- ARGV owner
-- RETURNS 1

redis.call('DEL', ALIVE .. owner, CLAIMED .. owner)
if redis.call('SCARD', HELD .. owner) == 0 then redis.call('SREM', WORKERS, owner) end
if redis.call('GET', WATCH) == owner then redis.call('DEL', WATCH) end
return 1
