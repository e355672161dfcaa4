-- job_common: what every job script needs: the time, records, the table of states, the counts, the announcements.
-- The queue lives on one server (ADR 1), so its keys are constants made from shared/keys.py and not KEYS; the table
-- comes from shared/states.py as NEXT and FINISHED. What was read once in a call is remembered, since
-- most of what a script costs is calls into Redis.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines now, queue_of, tally, count, read, announce, become, transition

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)  -- ms; a worker's own clock is never asked

-- The queue of a tenant, an ordinary queue of arq's: a stock client's default is that of the tenant `default`.
local function queue_of(tenant)
  return tenant == DEFAULT_TENANT and ARQ_QUEUE or ARQ_TENANT_QUEUE .. tenant
end

local GROUP = {queued = 'queued', running = 'running', cancelling = 'running', requires_action = 'requires_action'}
local tallies = {}

-- How many jobs of a tenant ('' for all tenants together) are queued, and running.
local function tally(tenant)
  if not tallies[tenant] then
    local queued, running = unpack(redis.call('HMGET', COUNTS, tenant .. ':queued', tenant .. ':running'))
    tallies[tenant] = {queued = tonumber(queued or 0), running = tonumber(running or 0)}
  end
  return tallies[tenant]
end

local function count(tenant, group, by)
  for _, whose in ipairs({tenant, ''}) do
    local left = redis.call('HINCRBY', COUNTS, whose .. ':' .. group, by)
    if left == 0 then redis.call('HDEL', COUNTS, whose .. ':' .. group) end
    if tallies[whose] then tallies[whose][group] = left end
  end
end

-- What the scripts look at of a job's record, false for what is not there; nil for a job there is not.
local FIELDS = {'status', 'tenant', 'place', 'started_ms', 'claimed_ms', 'busy_ms', 'crashes', 'wait_reason',
                'expires_ms', 'said', 'idempotency', 'finished_by', 'claims'}
local function read(id)
  local values = redis.pcall('HMGET', JOB .. id, unpack(FIELDS))
  if values.err or not values[1] then return nil end  -- a stock client may give an id that names another key
  local job = {id = id, key = JOB .. id}
  for i, name in ipairs(FIELDS) do job[name] = values[i] end
  job.queue = queue_of(job.tenant)
  return job
end

-- Tells everybody who follows the job that it changed.
local function announce(job)
  local revision = redis.call('HINCRBY', job.key, 'revision', 1)
  redis.call('PUBLISH', CHANGES, job.id .. ' ' .. revision .. ' ' .. job.status)
end

-- The one place where a status changes, so the counts cannot drift from the jobs.
local function become(job, status)
  local before, after = GROUP[job.status], GROUP[status]
  redis.call('HSET', job.key, 'status', status)
  job.status = status
  if before ~= after then
    count(job.tenant, before, -1)
    if after then count(job.tenant, after, 1) end
  end
  announce(job)
end

-- Moves a job by the table. Returns whether the table allows it.
local function transition(job, event)
  local to = NEXT[job.status] and NEXT[job.status][event]
  if to and to ~= job.status then become(job, to) end
  return to ~= nil
end
