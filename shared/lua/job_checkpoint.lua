-- job_checkpoint: appends one record to a job's journal and adds what it cost to the job and to its tenant's day, if
-- the job is still this worker's.
-- Safe to repeat after a lost answer: a record that is there already is not appended again.
-- USES job_common job_outbox job_states job_allowance job_reserved job_telling
-- KEYS
-- ARGV id owner index record counters served served_as said reserved told
--   index      how many records the worker believes are there
--   counters   JSON object, what to add to the job's usage
--   served     the model that served a model record, or ''
--   served_as  as what: see shared.turn.ServedAs
--   said       its text, which is the job's partial output, or ''
--   reserved   nano-dollars that its calls still in flight may cost: see job_reserved
--   told       what it tells of this, and what has not been told yet: see job_telling
-- RETURNS 'ok', or 'mail' when it is written and something waits to be heard (job_hear), or 'lost' when the job or its journal is not as this worker knows it

local turns = JOB .. id .. TURNS
if redis.call('HGET', LEASES, id) ~= owner then return 'lost' end
local job, length = read(id), redis.call('LLEN', turns)
local written = job.mail and 'mail' or 'ok'
if length == tonumber(index) + 1 and redis.call('LINDEX', turns, -1) == record then return written end
if length ~= tonumber(index) then return 'lost' end

local key = job.key
redis.call('RPUSH', turns, record)
local used = cjson.decode(counters)
for name, more in pairs(used) do redis.call('HINCRBY', key, name, string.format('%.0f', more)) end
if used.cost_nano then spend(job.tenant, used.cost_nano) end
set_aside(job, tonumber(reserved))
if said ~= '' then redis.call('HSET', key, 'said', said) end
if served ~= '' then
  redis.call('HSET', key, 'served', served, 'served_as', served_as)
  redis.call('HDEL', key, 'parks')             -- the provider answers: the next outage starts anew
end
tell_all(job, told)
announce(job)
return written
