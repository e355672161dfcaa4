-- fleet_leave: a worker that holds nothing any more goes, and lays down the watch if it has it.
-- KEYS
-- ARGV owner
-- RETURNS 1

redis.call('SREM', WORKERS, owner)
redis.call('DEL', ALIVE .. owner, CLAIMED .. owner)
if redis.call('GET', WATCH) == owner then redis.call('DEL', WATCH) end
return 1
