-- queue_read: how the queue stands, for all together and by tenant. Changes nothing.
-- USES job_common job_pace job_allowance
-- KEYS
-- ARGV
-- RETURNS {pace, parked, counts, waits, spent, oldest}   pace: see job_pace; the others but parked are flat hashes:
--           parked   how many jobs wait for a time, or for a provider
--           counts   `tenant:group` and `:group`, how many jobs are queued, running, requires_action
--           waits    `tenant:reason` and `:reason`, how many jobs have that reason to wait in their records
--           spent    tenant, nano-dollars of today
--           oldest   tenant, since when (ms) the longest of those next in turn has waited that could start now

local MOST_TENANTS, MOST_JOBS = 200, 3  -- looked at for their oldest

local counts, oldest = redis.call('HGETALL', COUNTS), {}

local function since(id)
  local created_ms, due_ms = unpack(redis.call('HMGET', JOB .. id, 'created_ms', 'next_attempt_ms'))
  return math.min(now, math.max(tonumber(created_ms or now), tonumber(due_ms or 0)))
end

local function look_at(tenant)
  local first
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', queue_of(tenant), '-inf', now, 'LIMIT', 0, MOST_JOBS)) do
    first = math.min(first or now, since(id))
  end
  if not first then return end
  oldest[#oldest + 1] = tenant
  oldest[#oldest + 1] = first
end

for i = 1, #counts, 2 do
  local tenant = string.match(counts[i], '^(.+):queued$')
  if tenant and #oldest < 2 * MOST_TENANTS then look_at(tenant) end
end
return {pace(), redis.call('ZCARD', RETURNING), counts, redis.call('HGETALL', WAITS), redis.call('HGETALL', today), oldest}
