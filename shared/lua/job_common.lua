-- job_common: what every job script needs: the time, the queues, the counts.
-- The queue lives on one server (ADR 1), so its keys are constants made from shared/keys.py and not KEYS. What was read
-- once in a call is remembered, since most of what a script costs is calls into Redis.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines now, queue_of, tally, count

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)  -- ms; a worker's own clock is never asked

-- The queue of a tenant, an ordinary queue of arq's: a stock client's default is that of the tenant `default`.
local function queue_of(tenant)
  return tenant == DEFAULT_TENANT and ARQ_QUEUE or ARQ_TENANT_QUEUE .. tenant
end

local tallies = {}

-- How many jobs of a tenant ('' for all tenants together) are queued, and running.
local function tally(tenant)
  if not tallies[tenant] then
    local found = redis.call('HMGET', COUNTS, ':queued', ':running', tenant .. ':queued', tenant .. ':running')
    tallies[''] = tallies[''] or {queued = tonumber(found[1] or 0), running = tonumber(found[2] or 0)}
    tallies[tenant] = tallies[tenant] or {queued = tonumber(found[3] or 0), running = tonumber(found[4] or 0)}
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
