-- chain_note: writes down how a target of a chain did with a call.
-- KEYS calls
-- ARGV note most
--   note   JSON, see shared.chain_scores.Note
--   most   so many are kept
-- RETURNS how many there are

local seconds = redis.call('TIME')[1]
redis.call('LPUSH', calls, seconds .. ' ' .. note)
redis.call('LTRIM', calls, 0, most - 1)
redis.call('PEXPIRE', calls, DAY_MS)
return redis.call('LLEN', calls)
