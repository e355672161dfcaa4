-- job_read: a job, and where it stands in the queue while it waits.
-- USES job_common job_states job_waking job_fairness job_pace
-- KEYS
-- ARGV id
-- RETURNS {record, ahead or -1, the tenant's running, its max running or 0, pace…}   record = flat HGETALL, empty for
--         a job there is not

local record, job = redis.call('HGETALL', JOB .. id), read(id)
if not job or job.status ~= 'queued' then return {record, -1, 0, 0, unpack(pace())} end
return {record, ahead_of(id, job.tenant), tally(job.tenant).running, terms_of(job.tenant).cap or 0, unpack(pace())}
