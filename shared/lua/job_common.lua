-- job_common: what every job script needs: the time, the queues, the counts.
-- The queue lives on one server (ADR 1), so its keys are constants made from shared/keys.py and not KEYS. What was read
-- once in a call is remembered, since most of what a script costs is calls into Redis.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines now, queue_of, tally, count, count_wait

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)  -- ms; a worker's own clock is never asked

-- The queue of a tenant, an ordinary queue of arq's: a stock client's default is that of the tenant `default`.
local function queue_of(tenant)
  return tenant == DEFAULT_TENANT and ARQ_QUEUE or ARQ_TENANT_QUEUE .. tenant
end

local tallies = {}

-- How many jobs of a tenant ('' for all tenants together) are queued, running, and waiting for a person.
local function tally(tenant)
  if not tallies[tenant] then
    local found = redis.call('HMGET', COUNTS, ':queued', ':running', ':requires_action',
                             tenant .. ':queued', tenant .. ':running', tenant .. ':requires_action')
    for i = 1, 6 do found[i] = tonumber(found[i] or 0) end
    tallies[''] = tallies[''] or {queued = found[1], running = found[2], requires_action = found[3]}
    tallies[tenant] = tallies[tenant] or {queued = found[4], running = found[5], requires_action = found[6]}
  end
  return tallies[tenant]
end

local function count(tenant, group, by)
  local changed, gone = {}, {}
  for _, whose in ipairs({tenant, ''}) do
    local its = tally(whose)
    its[group] = its[group] + by
    if its[group] == 0 then
      gone[#gone + 1] = whose .. ':' .. group
    else
      changed[#changed + 1] = whose .. ':' .. group
      changed[#changed + 1] = its[group]
    end
  end
  if changed[1] then redis.call('HSET', COUNTS, unpack(changed)) end
  if gone[1] then redis.call('HDEL', COUNTS, unpack(gone)) end
end

-- How many jobs have this reason to wait in their records.
local function count_wait(tenant, reason, by)
  for _, field in ipairs({tenant .. ':' .. reason, ':' .. reason}) do
    if redis.call('HINCRBY', WAITS, field, by) <= 0 then redis.call('HDEL', WAITS, field) end
  end
end
