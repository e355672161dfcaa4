-- job_turns: the journal of a tenant's job, how the job stood then, and what was said to it and not heard yet.
-- USES job_common job_outbox job_states
-- KEYS
-- ARGV id tenant
-- RETURNS {status, revision, {record, …}, {message, …}, how many records are another job's}, or nothing for a job there is not, another tenant's included

local job = read(id)
if not job or job.tenant ~= tenant then return {} end
local unheard = {}
for message in string.gmatch(job.mail or '', '%S+') do
  unheard[#unheard + 1] = redis.call('HGET', job.key .. MAIL, message)
end
local revision, inherited = unpack(redis.call('HMGET', job.key, 'revision', 'inherited'))
return {job.status, revision, redis.call('LRANGE', job.key .. TURNS, 0, -1), unheard, tonumber(inherited or 0)}
