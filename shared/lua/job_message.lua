-- job_message: keeps a message for a tenant's unfinished job, until its worker is between two turns.
-- Safe to repeat after a lost answer, with the same message or the same idempotency key.
-- USES job_common job_outbox job_states
-- KEYS
-- ARGV id tenant message content told idempotency most
--   message       the id of the message
--   content       a JSON string; told: the same for followers, or null when it is too long for them
--   idempotency   of several calls with it only the first keeps a message, or '' for none
--   most          messages that may wait at once
-- RETURNS {'kept', the message as JSON}; of a repeat, the one that was kept then
--      or {'late', status}    the job hears nothing any more
--      or {'full'}
--      or {} for a job there is not, another tenant's included

local job = read(id)
if not job or job.tenant ~= tenant then return {} end

local box = job.key .. MAIL
local prior = idempotency ~= '' and redis.call('HGET', box, 'key:' .. idempotency) or message
local kept = redis.call('HGET', box, prior)
if kept then return {'kept', kept} end

if FINISHED[job.status] or job.status == 'cancelling' then return {'late', job.status} end
local _, waiting = string.gsub(job.mail or '', '%S+', '')
if waiting >= tonumber(most) then return {'full'} end

kept = string.format('{"kind":"message","id":"%s","at_ms":%.0f,"content":', message, now) .. content .. '}'
redis.call('HSET', box, message, kept)
if idempotency ~= '' then redis.call('HSET', box, 'key:' .. idempotency, message) end
tell(job, 'message.received', now, '{"message_id":"' .. message .. '","content":' .. told .. '}')
redis.call('HSET', job.key, 'events', job.events, 'mail', job.mail and job.mail .. ' ' .. message or message)
announce(job)
return {'kept', kept}
