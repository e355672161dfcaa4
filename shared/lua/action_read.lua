-- action_read: an action of a tenant's job. Another tenant's costs and answers exactly what one there is not does.
-- USES job_common job_outbox job_states
-- KEYS
-- ARGV id tenant action
-- RETURNS {question or false, decision or false}, both JSON; or {} for a job there is not

local job = read(id)
if not job or job.tenant ~= tenant then return {} end
return redis.call('HMGET', job.key .. ACTIONS, action, action .. ':decided')
