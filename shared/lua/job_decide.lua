-- job_decide: a person has decided about an action of a tenant's job. When it was the last one the job goes on.
-- USES job_common job_outbox job_states job_waking job_fairness job_pace job_reserved job_sessions job_ending job_leases job_actions
-- KEYS
-- ARGV id tenant action decision answer record
--   decision   one word
--   answer     the decision with what belongs to it, a JSON object
--   record     the same as the journal keeps it, JSON
-- RETURNS 'unknown', also for another tenant's job; 'taken'; or 'closed' when it was decided, has expired, or the job
--         has ended

local job = read(id)
if not job or job.tenant ~= tenant or redis.call('HEXISTS', job.key .. ACTIONS, action) == 0 then return 'unknown' end
if not string.find(' ' .. (job.asks or '') .. ' ', ' ' .. action .. ' ', 1, true) then return 'closed' end

close_action(job, action, decision, answer, record)
if job.asks == '' then
  go_on(job)
else
  redis.call('HSET', job.key, 'events', job.events)
  announce(job)
end
return 'taken'
