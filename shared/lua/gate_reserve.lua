-- gate_reserve: books one model call over requests, input tokens, output tokens and calls in flight, all or nothing.
-- What is booked is taken at once; the call waits until its share has flowed in (the cell rate algorithm, ITU-T
-- I.371), so calls start in the order in which they were booked. Repeated with the same id it answers the same.
-- USES gate_common
-- KEYS state calls bookings estimates
-- ARGV id agent characters max_output limits lease_ms
--   characters   size of the request; how many tokens that makes is learned per agent
--   limits       JSON {requests, input, output: per minute; in_flight}
--   lease_ms     how long the place in flight is kept without renewal, from the moment the call may start
-- RETURNS {'granted', ms to wait, booking}         booking = JSON {need: {…}, tickets: {…}} for gate_ready
--      or {'busy'}                                 as many calls in flight as allowed: ask again
--      or {'too_large', input tokens, limit}       more than a whole minute's worth: it can never pass

local configured = cjson.decode(limits)
local pool = open_pool(state, configured)
local known = redis.call('HGET', bookings, id)
if known then return {'granted', wait_for(pool, cjson.decode(known).tickets), known} end

local learned = redis.call('HMGET', estimates, agent .. ':tokens_per_character', agent .. ':output')
local need = {
  requests = 1,
  input = math.max(1, math.ceil(characters * (learned[1] or 0.3))),
  output = math.min(tonumber(max_output), math.ceil(learned[2] or 500)),
}
if need.input > pool.input.limit then return {'too_large', need.input, math.floor(pool.input.limit)} end
drop_lapsed(calls, bookings)
if redis.call('ZCARD', calls) >= configured.in_flight then return {'busy'} end

local tickets = {}
for _, name in ipairs(DIMENSIONS) do
  local bucket = pool[name]
  tickets[name] = bucket.booked + math.min(need[name], bucket.capacity)  -- a larger call passes a full bucket
  bucket.booked = bucket.booked + need[name]
end
local wait = wait_for(pool, tickets)
local booking = cjson.encode({need = need, tickets = tickets})
redis.call('ZADD', calls, now + wait + lease_ms, id)
redis.call('HSET', bookings, id, booking)
redis.call('PEXPIRE', calls, wait + DAY_MS)
redis.call('PEXPIRE', bookings, wait + DAY_MS)
close_pool(state, pool)
return {'granted', wait, booking}
