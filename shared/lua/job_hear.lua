-- job_hear: what was said to a job becomes a part of its journal, if the job is still this worker's.
-- Safe to repeat after a lost answer: what was heard by then is answered again.
-- USES job_common job_outbox job_states
-- KEYS
-- ARGV id owner index turn
--   index   how many records the worker believes are there
--   turn    after how many turns it is heard
-- RETURNS {record, …}, JSON, or 'lost' when the job or its journal is not as this worker knows it

local turns = JOB .. id .. TURNS
if redis.call('HGET', LEASES, id) ~= owner then return 'lost' end
if redis.call('LLEN', turns) < tonumber(index) then return 'lost' end
local heard = redis.call('LRANGE', turns, index, -1)
for _, record in ipairs(heard) do
  if cjson.decode(record).kind ~= 'message' then return 'lost' end
end

local job = read(id)
if not job.mail then return heard end
for message in string.gmatch(job.mail, '%S+') do
  local record = '{"turn":' .. turn .. ',' .. string.sub(redis.call('HGET', job.key .. MAIL, message), 2)
  redis.call('RPUSH', turns, record)
  tell(job, 'message.heard', now, '{"message_id":"' .. message .. '","after_turn":' .. turn .. '}')
  heard[#heard + 1] = record
end
redis.call('HSET', job.key, 'events', job.events)
redis.call('HDEL', job.key, 'mail')
announce(job)
return heard
