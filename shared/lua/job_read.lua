-- job_read: a job, and where it stands in the queue while it waits.
-- USES job_common job_fairness job_pace
-- KEYS
-- ARGV id
-- RETURNS {record, ahead or -1, the tenant's running, its max running or 0, pace…}   record = flat HGETALL, empty for
--         a job there is not

local record = redis.call('HGETALL', JOB .. id)
local status, tenant = unpack(redis.call('HMGET', JOB .. id, 'status', 'tenant'))
if status ~= 'queued' then return {record, -1, 0, 0, unpack(pace())} end
return {record, ahead_of(id, tenant), running_of(tenant), cap_of(tenant) or 0, unpack(pace())}
