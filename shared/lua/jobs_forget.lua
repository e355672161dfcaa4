-- jobs_forget: takes the ids of jobs whose retention is over out of a tenant's list, from the oldest on.
-- KEYS
-- ARGV tenant most
--   most   how many ids to look at
-- RETURNS how many were taken out

local list = TENANT_JOBS .. tenant
local taken = 0
for _, id in ipairs(redis.call('ZRANGE', list, 0, most - 1)) do
  if redis.call('EXISTS', JOB .. id) == 0 then taken = taken + redis.call('ZREM', list, id) end
end
if redis.call('EXISTS', list) == 0 then redis.call('SREM', LISTED, tenant) end
return taken
