-- job_states: a job's record, and its way through the table of states, which comes from shared/states.py as NEXT and
-- FINISHED.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines read, announce, become, transition

local GROUP = {queued = 'queued', running = 'running', cancelling = 'running', requires_action = 'requires_action'}

-- What the scripts look at of a job's record, false for what is not there; nil for a job there is not.
local FIELDS = {'status', 'tenant', 'place', 'started_ms', 'claimed_ms', 'busy_ms', 'crashes', 'wait_reason',
                'expires_ms', 'said', 'idempotency', 'finished_by', 'claims', 'created_ms', 'webhook'}
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

-- The one place where a status changes, so the counts cannot drift from the jobs, and no end goes without its webhook.
local function become(job, status)
  local before, after = GROUP[job.status], GROUP[status]
  redis.call('HSET', job.key, 'status', status)
  job.status = status
  if before ~= after then
    count(job.tenant, before, -1)
    if after then count(job.tenant, after, 1) end
  end
  local revision = announce(job)
  if job.webhook then post(job, revision) end
end

-- Moves a job by the table. Returns whether the table allows it.
local function transition(job, event)
  local to = NEXT[job.status] and NEXT[job.status][event]
  if to and to ~= job.status then become(job, to) end
  return to ~= nil
end
