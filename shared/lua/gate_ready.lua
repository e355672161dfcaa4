-- gate_ready: whether a booked call may start by now. To be asked again while it waits, since limits, pauses and
-- what others really use move its moment.
-- USES gate_common
-- KEYS state
-- ARGV booking limits
--   booking   as gate_reserve answered
-- RETURNS ms still to wait, 0 when it may start

return wait_for(open_pool(state, cjson.decode(limits)), cjson.decode(booking).tickets)
