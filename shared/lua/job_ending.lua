-- job_ending: what becomes of a job's keys when it gives up its slot or ends.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines unlease, retire

-- The worker does not hold the job any more; the time it did is what a job costs in slots.
local function unlease(id)
  redis.call('HDEL', LEASES, id)
  redis.call('ZREM', RETURNING, id)
  redis.call('DEL', ARQ_IN_PROGRESS .. id)
  local claimed_ms = redis.call('HGET', JOB .. id, 'claimed_ms')
  if claimed_ms then
    redis.call('HINCRBY', JOB .. id, 'busy_ms', math.max(0, now - claimed_ms))
    redis.call('HDEL', JOB .. id, 'claimed_ms')
  end
end

-- A job has ended: takes it out of the queue, leaves arq's result, gives everything of it a lifetime.
local function retire(id, status, tenant, retention_ms)
  local job, queue = JOB .. id, queue_of(tenant)
  unlease(id)
  redis.call('ZREM', queue, id)
  redis.call('ZREM', EXPIRING, id)
  local started_ms, busy_ms, said, idempotency =
    unpack(redis.call('HMGET', job, 'started_ms', 'busy_ms', 'said', 'idempotency'))
  redis.call('HSET', job, 'finished_ms', now)
  redis.call('HDEL', job, 'wait_reason', 'next_attempt_ms', 'said')
  if said and status == 'cancelled' then redis.call('HSETNX', job, 'output', said) end
  if started_ms then learn_pace(tonumber(busy_ms or 0)) end

  local blob = redis.call('GET', ARQ_JOB .. id)
  if blob then
    local asked = cjson.decode(blob)
    redis.call('SET', ARQ_RESULT .. id, cjson.encode({
      t = 1, f = asked.f, a = {id}, k = {}, et = asked.et, s = status == 'succeeded', r = status,
      st = tonumber(started_ms or now), ft = now, q = queue, id = id,
    }), 'PX', retention_ms)
  end
  redis.call('DEL', ARQ_JOB .. id, ARQ_RETRY .. id)
  redis.call('PEXPIRE', job, retention_ms)
  redis.call('PEXPIRE', job .. TURNS, retention_ms)
  redis.call('PEXPIRE', job .. NOTES, retention_ms)
  if idempotency then redis.call('PEXPIRE', idempotency, math.max(retention_ms, DAY_MS)) end
  rank(tenant)
  forget(tenant)
  if redis.call('EXISTS', queue) == 0 then redis.call('PEXPIRE', TENANT_JOBS .. tenant, math.max(retention_ms, DAY_MS)) end
end
