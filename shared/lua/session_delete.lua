-- session_delete: forgets a session of a tenant: its history and its notes.
-- KEYS
-- ARGV tenant session
-- RETURNS {'deleted', ''}, {'unknown', ''} for a session there is not, or {'busy', the live job} and nothing is done

local its = SESSION .. tenant .. ':' .. session
local live = redis.call('ZRANGE', its .. LINE, 0, 0)[1]
if live then return {'busy', live} end
return {redis.call('DEL', its .. HISTORY, its .. NOTES) > 0 and 'deleted' or 'unknown', ''}
