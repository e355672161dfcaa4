-- job_finish: ends a job, if it is still this worker's. A job that is being cancelled ends cancelled, whatever
-- the event. Safe to repeat after a lost answer.
-- USES job_common job_outbox job_states job_waking job_fairness job_pace job_reserved job_sessions job_ending
-- KEYS
-- ARGV id owner event output error incomplete message agent hears retention_ms
--   event                                succeed, stop_short, fail or confirm_cancel
--   output, error, incomplete, message   '' for none; error is JSON, message says more about incomplete
--   agent                                whose costs this job's are a sample of, or '' for nobody's
--   hears                                1: it does not succeed while something waits to be heard (job_hear)
-- RETURNS the status it has now, or 'lost' when the job is not this worker's, or 'mail' when it is to go on and hear

local MOST_COSTS = 25        -- an estimate follows a change of agent or price within so many jobs
local COSTS_MS = 30 * DAY_MS

local job = read(id)
if redis.call('HGET', LEASES, id) ~= owner then return job and job.finished_by == owner and job.status or 'lost' end
if event == 'succeed' and hears == '1' and job.mail and job.status == 'running' then return 'mail' end

local function details()
  local said = message ~= '' and ',"message":' .. cjson.encode(message) or ''
  return '"incomplete_details":{"reason":"' .. incomplete .. '"' .. said .. '}'
end

local because
if job.status ~= 'cancelling' then
  if error ~= '' then because = '"error":' .. error end
  if incomplete ~= '' then because = details() end
end
if not transition(job, event, because) then return redis.error_reply('a job cannot ' .. event .. ' now') end

-- What the job cost, behind what the agent's jobs before it cost. One that nobody knows the cost of teaches nothing.
local function learn_cost()
  local cost = tonumber(redis.call('HGET', job.key, 'cost_nano') or 0)
  if cost == 0 then return end
  local costs = {}
  for each in string.gmatch(redis.call('HGET', COSTS, agent) or '', '%d+') do costs[#costs + 1] = each end
  costs[#costs + 1] = string.format('%.0f', cost)
  redis.call('HSET', COSTS, agent, table.concat(costs, ' ', math.max(1, #costs - MOST_COSTS + 1)))
  redis.call('PEXPIRE', COSTS, COSTS_MS)
end

redis.call('HSET', job.key, 'finished_by', owner)
if output ~= '' then redis.call('HSET', job.key, 'output', output) end
if job.status ~= 'cancelled' then
  if error ~= '' then redis.call('HSET', job.key, 'error', error) end
  if incomplete ~= '' then redis.call('HSET', job.key, 'incomplete', incomplete, 'incomplete_message', message) end
end
if agent ~= '' and (job.status == 'succeeded' or job.status == 'incomplete') then learn_cost() end
retire(job, retention_ms)
return job.status
