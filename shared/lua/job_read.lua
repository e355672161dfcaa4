-- job_read: a tenant's job, and where it stands in the queue while it waits. Another tenant's costs and answers exactly
-- what one there is not does, so that nobody learns which ids exist.
-- USES job_common job_outbox job_states job_waking job_fairness job_pace job_sessions job_place
-- KEYS
-- ARGV id tenant
-- RETURNS {record, ahead or -1, behind, the tenant's running, its max running or 0, pace…}   record = flat HGETALL, empty
--         for a job there is not; of one that waits for a person with `actions`, a JSON list of its questions; ahead and
--         behind: see job_place

local job = read(id)
if not job or job.tenant ~= tenant then return {{}, -1, 0, 0, 0, unpack(pace())} end
local record = redis.call('HGETALL', job.key)
if job.asks then
  local asked = {}
  for action in string.gmatch(job.asks, '%S+') do asked[#asked + 1] = redis.call('HGET', job.key .. ACTIONS, action) end
  record[#record + 1] = 'actions'
  record[#record + 1] = '[' .. table.concat(asked, ',') .. ']'
end
if job.status ~= 'queued' then return {record, -1, 0, 0, 0, unpack(pace())} end
local ahead, behind = place_of(job)
return {record, ahead, behind, tally(job.tenant).running, terms_of(job.tenant).cap or 0, unpack(pace())}
