-- job_states: a job's record, and its way through the table of states, which comes from shared/states.py as NEXT and
-- FINISHED.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines read, announce, tell, become, transition

local GROUP = {queued = 'queued', running = 'running', cancelling = 'running', requires_action = 'requires_action'}

-- What the scripts look at of a job's record, false for what is not there; nil for a job there is not.
local FIELDS = {'status', 'tenant', 'place', 'started_ms', 'claimed_ms', 'busy_ms', 'crashes', 'wait_reason',
                'expires_ms', 'said', 'idempotency', 'finished_by', 'claims', 'created_ms', 'webhook', 'events', 'reserved',
                'session', 'asks', 'mail'}
local function read(id)
  local values = redis.pcall('HMGET', JOB .. id, unpack(FIELDS))
  if values.err or not values[1] then return nil end  -- a stock client may give an id that names another key
  local job = {id = id, key = JOB .. id}
  for i, name in ipairs(FIELDS) do job[name] = values[i] end
  job.queue = queue_of(job.tenant)
  return job
end

-- Tells everybody who follows the job that it changed. Returns the revision it has now.
local function announce(job)
  local revision = redis.call('HINCRBY', job.key, 'revision', 1)
  redis.call('PUBLISH', CHANGES, job.id .. ' ' .. revision .. ' ' .. job.status)
  return revision
end

-- Keeps an event with the next number; whoever calls this writes job.events down. Number 1 is made up by who reads: that
-- the job was queued, its record says, and a stream would cost each job that waits 4 KB.
local function tell(job, type, at, data)
  job.events = (job.events or 1) + 1
  redis.call('XADD', job.key .. EVENTS, 'MAXLEN', '~', MOST_EVENTS, job.events .. '-0', 'type', type, 'at', at, 'data', data)
end

-- The one place where a status changes, so neither the counts nor the events can drift from the jobs, and no end goes
-- without its webhook. `because` is what else the event says: the members of a JSON object, or nothing.
local function become(job, status, because)
  local before, after = GROUP[job.status], GROUP[status]
  job.status = status
  local revision = announce(job)
  local said = '{"status":"' .. status .. '","revision":' .. revision .. (because and ',' .. because or '') .. '}'
  tell(job, 'job.' .. status, now, said)
  redis.call('HSET', job.key, 'status', status, 'events', job.events)
  if before ~= after then
    count(job.tenant, before, -1)
    if after then count(job.tenant, after, 1) end
  end
  if job.webhook then post(job, revision) end
end

-- Moves a job by the table. Returns whether the table allows it.
local function transition(job, event, because)
  local to = NEXT[job.status] and NEXT[job.status][event]
  if to and to ~= job.status then become(job, to, because) end
  return to ~= nil
end
