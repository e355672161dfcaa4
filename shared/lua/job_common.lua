-- job_common: what every job script needs: the time, the table of states, the counts, the announcement of a change.
-- The queue lives on one server (ADR 1), so its keys are constants made from shared/keys.py and not KEYS; the table
-- comes from shared/job.py as NEXT, FINISHED and SUSPECT_CRASHES.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines now, queue_of, counted, announce, transition

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)  -- ms; a worker's own clock is never asked

-- The queue of a tenant, an ordinary queue of arq's: a stock client's default is that of the tenant `default`.
local function queue_of(tenant)
  return tenant == DEFAULT_TENANT and ARQ_QUEUE or ARQ_TENANT_QUEUE .. tenant
end

-- How many unfinished jobs of a tenant ('' for all tenants together) have this status.
local function counted(tenant, status)
  return tonumber(redis.call('HGET', COUNTS, tenant .. ':' .. status) or 0)
end

local function count(tenant, status, by)
  for _, field in ipairs({tenant .. ':' .. status, ':' .. status}) do
    if redis.call('HINCRBY', COUNTS, field, by) == 0 then redis.call('HDEL', COUNTS, field) end
  end
end

-- Tells everybody who follows the job that it changed.
local function announce(id, status)
  local revision = redis.call('HINCRBY', JOB .. id, 'revision', 1)
  redis.call('PUBLISH', CHANGES, id .. ' ' .. revision .. ' ' .. status)
end

-- Moves a job by the table and tells of it. Returns the new status and the job's tenant, or nil when the table does
-- not allow it. The one place where a status changes, so the counts cannot drift from the jobs.
local function transition(id, event)
  local from, tenant = unpack(redis.call('HMGET', JOB .. id, 'status', 'tenant'))
  local to = from and NEXT[from] and NEXT[from][event]
  if not to then return nil end
  if from ~= to then
    redis.call('HSET', JOB .. id, 'status', to)
    count(tenant, from, -1)
    if not FINISHED[to] then count(tenant, to, 1) end
    announce(id, to)
  end
  return to, tenant
end
