-- job_turns: the journal of a tenant's job, and how the job stood then.
-- USES job_common job_outbox job_states
-- KEYS
-- ARGV id tenant
-- RETURNS {status, revision, {record, …}}, or nothing for a job there is not, another tenant's included

local job = read(id)
if not job or job.tenant ~= tenant then return {} end
return {job.status, redis.call('HGET', job.key, 'revision'), redis.call('LRANGE', job.key .. TURNS, 0, -1)}
