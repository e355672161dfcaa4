-- job_submit: accepts a job, all of it or nothing: idempotency key, caps, record, queue entry, wake-up.
-- Safe to repeat with the same id after a lost answer.
-- USES job_common job_waking job_fairness job_pace job_allowance
-- KEYS
-- ARGV id tenant spec blob head_start_ms run_at_ms delay_ms ttl_ms deadline_ms limits idempotency fingerprint webhook
--   run_at_ms, delay_ms    when it may start at the earliest: at a time, or so long from now; 0 for neither
--   ttl_ms, deadline_ms    how long from now, or until when, it may wait for its first start; 0 for ever
--   limits                 {max depth, max wait in seconds or 0, the tenant's max waiting or 0, its max running or 0,
--                          its weight, its submits a minute or 0, nano-dollars a day or 0}, with spaces between
--   idempotency            the key's Redis key, or '' for none; a refusal does not use it up
--   webhook                JSON of what job_outbox needs to know, or '' for none
-- RETURNS {'accepted', id, status, ahead, next attempt (ms) or 0, expires (ms) or 0, submits left or -1, pace…}
--                                                    pace: see job_pace
--      or {'replayed', id}                           this key has made this job already, with the same body
--      or {'conflict', id}                           this key has made another job
--      or {'full', reason, the tenant's waiting, ms until it may try again or 0, pace…}   not taken; reason is 'depth',
--                                                    'wait', 'tenant', 'rate' or 'budget'

local job, queue = JOB .. id, queue_of(tenant)
local max_depth, max_wait, max_waiting, max_running, weight, per_minute, per_day =
  string.match(limits, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
per_minute, per_day = tonumber(per_minute), tonumber(per_day)

local function accepted(status, next_ms, expires_ms)
  local left = submits_left(tenant, per_minute)
  return {'accepted', id, status, ahead_of(id, tenant), next_ms, expires_ms, left, unpack(pace())}
end

if redis.call('EXISTS', job) == 1 then
  local status, next_ms, expires_ms = unpack(redis.call('HMGET', job, 'status', 'next_attempt_ms', 'expires_ms'))
  return accepted(status, tonumber(next_ms or 0), tonumber(expires_ms or 0))
end

if idempotency ~= '' then
  local prior = redis.call('HMGET', idempotency, 'job_id', 'fingerprint')
  if prior[1] then return {prior[2] == fingerprint and 'replayed' or 'conflict', prior[1]} end
end

local waiting, own = tally('').queued, tally(tenant).queued
local function full(reason, wait_ms) return {'full', reason, own, wait_ms or 0, unpack(pace())} end
if waiting >= tonumber(max_depth) then return full('depth') end
if tonumber(max_waiting) > 0 and own >= tonumber(max_waiting) then return full('tenant') end
if tonumber(max_wait) > 0 then
  local _, running, slots, busy_ms = unpack(pace())
  local ready = waiting - redis.call('ZCARD', RETURNING)
  if slots > 0 and busy_ms > 0 and (ready + running - slots) * busy_ms / slots > max_wait * 1000 then
    return full('wait')
  end
end
if per_day > 0 and spent_today(tenant) >= per_day then return full('budget', DAY_MS - now % DAY_MS) end
local left, wait_ms = submits_left(tenant, per_minute)
if left == 0 then return full('rate', wait_ms) end
take_submit(tenant, per_minute)

local due = math.max(now, tonumber(run_at_ms), now + delay_ms)
local place = due - head_start_ms
local expires = tonumber(deadline_ms)
if tonumber(ttl_ms) > 0 then expires = math.min(now + ttl_ms, expires > 0 and expires or math.huge) end
redis.call('HSET', job, 'spec', spec, 'tenant', tenant, 'status', 'queued', 'revision', 1, 'created_ms', now,
           'place', place)
redis.call('SET', ARQ_JOB .. id, blob)
if idempotency ~= '' then
  redis.call('HSET', idempotency, 'job_id', id, 'fingerprint', fingerprint)
  redis.call('HSET', job, 'idempotency', idempotency)
end
if webhook ~= '' then redis.call('HSET', job, 'webhook', webhook) end
if expires > 0 then
  call_the_watch(expires)
  redis.call('HSET', job, 'expires_ms', expires)
  redis.call('ZADD', EXPIRING, expires, id)
end

local list = TENANT_JOBS .. tenant
if redis.call('PTTL', list) ~= -1 then  -- it is new, or was given a lifetime
  redis.call('PERSIST', list)
  redis.call('SADD', LISTED, tenant)
end
redis.call('ZADD', list, 0, id)
local given = terms_of(tenant)
local agreed = given.weight == tonumber(weight) and (given.cap or 0) == tonumber(max_running)
if not agreed then
  redis.call('HSET', TENANTS, tenant .. ':weight', weight)
  redis.call('HDEL', TENANTS, tenant .. ':max_running')
  if max_running ~= '0' then redis.call('HSET', TENANTS, tenant .. ':max_running', max_running) end
  given.weight, given.cap = tonumber(weight), max_running ~= '0' and tonumber(max_running) or nil
end

count(tenant, 'queued', 1)
if due > now then
  redis.call('ZADD', queue, due, id)
  redis.call('ZADD', RETURNING, due, id)
  redis.call('HSET', job, 'wait_reason', 'scheduled', 'next_attempt_ms', due)
  count_wait(tenant, 'scheduled', 1)
  call_the_watch(due)
else
  redis.call('ZADD', queue, place, id)
end
-- One more job of a tenant that was ready before changes nothing for it.
if not agreed or (due <= now and not redis.call('ZSCORE', READY, tenant)) then rank(tenant, due <= now) end
return accepted('queued', due > now and due or 0, expires)
