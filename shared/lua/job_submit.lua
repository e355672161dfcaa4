-- job_submit: accepts a job, all of it or nothing: idempotency key, depth, record, queue entry, wake-up.
-- Safe to repeat with the same id after a lost answer.
-- KEYS queue leases wake drain arq_job tenant_jobs
-- ARGV id spec blob head_start_ms max_depth max_wait_seconds idempotency fingerprint
--   idempotency   the key's Redis key, or '' for none; a refusal does not use it up
-- RETURNS {'accepted', id, ahead, waiting, drain rate, now}  a new job, `ahead` jobs before it
--      or {'replayed', id}                                   this key has made this job already, with the same body
--      or {'conflict', id}                                   this key has made another job
--      or {'full', reason, waiting, drain rate}              not taken; reason is 'depth' or 'wait'; drain rate in jobs/s

local job = JOB .. id
local rate = drain_rate(drain)

local function accepted()
  local ahead = redis.call('ZRANK', queue, id) or 0
  return {'accepted', id, ahead, waiting(queue, leases), tostring(rate), now}
end

if redis.call('EXISTS', job) == 1 then return accepted() end

if idempotency ~= '' then
  local prior = redis.call('HMGET', idempotency, 'job_id', 'fingerprint')
  if prior[1] then return {prior[2] == fingerprint and 'replayed' or 'conflict', prior[1]} end
end

local depth = waiting(queue, leases)
if depth >= tonumber(max_depth) then return {'full', 'depth', depth, tostring(rate)} end
if tonumber(max_wait_seconds) > 0 and rate > 0 and depth / rate > tonumber(max_wait_seconds) then
  return {'full', 'wait', depth, tostring(rate)}
end

local place = now - head_start_ms
redis.call('HSET', job, 'spec', spec, 'status', 'queued', 'created_ms', now, 'place', place)
if idempotency ~= '' then
  redis.call('HSET', idempotency, 'job_id', id, 'fingerprint', fingerprint)
  redis.call('HSET', job, 'idempotency', idempotency)
end
redis.call('SET', arq_job, blob)
for _, old in ipairs(redis.call('ZRANGE', tenant_jobs, 0, 1)) do  -- so the list cannot outgrow its jobs
  if redis.call('EXISTS', JOB .. old) == 0 then redis.call('ZREM', tenant_jobs, old) end
end
redis.call('ZADD', tenant_jobs, 0, id)
redis.call('ZADD', queue, place, id)
announce(id)
wake_one(wake)
return accepted()
