-- jobs_forget: takes the ids of jobs whose retention is over out of a tenant's list, from `after` on.
-- KEYS
-- ARGV tenant after most
--   after   an id, which need not be there any more, or '' for the oldest on
--   most    how many ids to look at
-- RETURNS {how many were taken out, the last id looked at, '' at the end of the list}

local list = TENANT_JOBS .. tenant
local ids = redis.call('ZRANGEBYLEX', list, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, most)
local taken = 0
for _, id in ipairs(ids) do
  if redis.call('EXISTS', JOB .. id) == 0 then taken = taken + redis.call('ZREM', list, id) end
end
if redis.call('EXISTS', list) == 0 then redis.call('SREM', LISTED, tenant) end
return {taken, #ids == tonumber(most) and ids[#ids] or ''}
