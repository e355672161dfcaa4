-- session_read: a session of a tenant: its line and what it remembers. Changes nothing.
-- USES job_common
-- KEYS
-- ARGV tenant session
-- RETURNS {} for a session there is not; else {when it is forgotten (ms) or 0 while it has a line, the live job or '',
--         its status or '', how many jobs are in line, {entry of the history, …}}

local its = SESSION .. tenant .. ':' .. session
local live = redis.call('ZRANGE', its .. LINE, 0, 0)[1] or ''
local in_line = redis.call('ZCARD', its .. LINE)
local status = redis.call('HGET', JOB .. live, 'status') or ''
local history = redis.call('LRANGE', its .. HISTORY, 0, -1)
local left = math.max(redis.call('PTTL', its .. HISTORY), redis.call('PTTL', its .. NOTES))
if in_line == 0 and left < 0 then return {} end
return {in_line == 0 and now + left or 0, live, status, in_line, history}
