-- job_await_action: a job of this worker asks a person: it gives up its slot and is parked until all is answered.
-- A job that is being cancelled ends cancelled instead. Repeated after a lost answer it says 'lost', which it is.
-- USES job_common job_outbox job_states job_waking job_fairness job_pace job_reserved job_sessions job_ending
-- KEYS
-- ARGV id owner claim wait_ms deadline_ms retention_ms
-- EACH action asked lapsed told brief
--   claim        see job_release
--   wait_ms      how long it waits for a person; deadline_ms: until when at most, 0 for no limit
--   action       the id of the action
--   asked        the question, a JSON object
--   lapsed       the record of the journal that says that nobody decided in time, JSON
--   told         what followers are told, JSON
--   brief        what the job's receiver is told, a JSON object
-- RETURNS the status it has now, or 'lost' when the job is not this worker's

if redis.call('HGET', LEASES, id) ~= owner then return 'lost' end
local job = read(id)
if tonumber(claim) ~= tonumber(job.claims) then return 'lost' end
local until_ms = now + wait_ms
if tonumber(deadline_ms) > 0 then until_ms = math.min(until_ms, deadline_ms) end

local ids, briefs = {}, {}
for i, one in ipairs(job.status == 'cancelling' and {} or each) do
  redis.call('HSET', job.key .. ACTIONS, one.action, string.format('{"asked_ms":%.0f,"expires_ms":%.0f,', now, until_ms)
             .. string.sub(one.asked, 2), one.action .. ':lapsed', one.lapsed)
  redis.call('ZADD', TENANT_ACTIONS .. job.tenant, 0, one.action .. ' ' .. id)
  tell(job, 'action.requested', now, one.told)
  ids[i], briefs[i] = one.action, string.format('{"expires_ms":%.0f,', until_ms) .. string.sub(one.brief, 2)
end
if ids[1] then job.asked = '[' .. table.concat(briefs, ',') .. ']' end
if not transition(job, 'await_action') then return redis.error_reply('a job cannot ask now') end
if FINISHED[job.status] then
  retire(job, retention_ms)
  return job.status
end

unlease(job)
redis.call('HSET', job.key, 'asks', table.concat(ids, ' '), 'asked_ms', now)
redis.call('ZADD', DECIDING, until_ms, id)
redis.call('ZADD', job.queue, 'XX', until_ms, id)  -- the watch sees to it before anybody takes it for due
call_the_watch(until_ms)
rank(job.tenant)
return job.status
