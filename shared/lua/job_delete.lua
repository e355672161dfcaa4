-- job_delete: erases a finished job of a tenant: what was asked, said, noted and told, and how it ended, also from the
-- history of its session. Of its webhooks stays what was told when and where, without the words; one that is still to be
-- sent says no more than that. Of its idempotency key the id stays that it made, so that a late repeat does not run the
-- job again.
-- USES job_common job_outbox job_states job_sessions
-- KEYS
-- ARGV id tenant
-- RETURNS 'deleted', 'unfinished', or 'unknown', for another tenant's job, too

local job = read(id)
if not job or job.tenant ~= tenant then return 'unknown' end
if not FINISHED[job.status] then return 'unfinished' end

if job.idempotency and redis.call('HGET', job.idempotency, 'job_id') == id then
  redis.call('HDEL', job.idempotency, 'fingerprint')
end
if job.session then
  local history, begins = session_of(job) .. HISTORY, '{"job_id":' .. cjson.encode(id) .. ','
  for _, entry in ipairs(redis.call('LRANGE', history, 0, -1)) do
    if string.sub(entry, 1, #begins) == begins then redis.call('LREM', history, 1, entry) end
  end
end
forget_words(job)
redis.call('DEL', job.key, job.key .. TURNS, job.key .. NOTES, job.key .. EVENTS, job.key .. ACTIONS,
           job.key .. MAIL, ARQ_RESULT .. id)
redis.call('ZREM', TENANT_JOBS .. tenant, id)
return 'deleted'
