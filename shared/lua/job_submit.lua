-- job_submit: accepts jobs of a tenant, each all of it or nothing: idempotency key, caps, record, queue entry, wake-up.
-- Safe to repeat with the same ids after a lost answer.
-- USES job_common job_waking job_fairness job_pace job_allowance job_sessions job_place
-- KEYS
-- ARGV tenant limits together
-- EACH id spec blob head_start_ms run_at_ms delay_ms ttl_ms deadline_ms idempotency fingerprint webhook session alone origin records with_mail message content
--   limits                 {max depth, max wait in seconds or 0, the tenant's max waiting or 0, its max running or 0,
--                          its weight, its submits a minute or 0, nano-dollars a day or 0}, with spaces between
--   together               1: all of them or, when one is refused, none
--   run_at_ms, delay_ms    when it may start at the earliest: at a time, or so long from now; 0 for neither
--   ttl_ms, deadline_ms    how long from now, or until when, it may wait for its first start; 0 for ever
--   idempotency            the key's Redis key, or '' for none; a refusal does not use it up
--   webhook                JSON of what job_outbox needs to know, or '' for none
--   session                see job_sessions, or '' for none
--   alone                  1: not taken while its session has another job
--   origin, records        '' or a job of the tenant whose first so many records its journal begins with
--   with_mail              1: what that job has not heard, this one hears
--   message, content       the id of a message that it hears first, and its text, a JSON string; '' for none
-- RETURNS {answers, pace…}   pace: see job_pace; for each job in turn:
--         {'accepted', id, status, reason to wait or '', ahead, behind, the tenant's running, next attempt (ms) or 0,
--          expires (ms) or 0, submits left or -1}       ahead and behind: see job_place
--      or {'replayed', id}                           this key has made this job already, with the same body
--      or {'conflict', id}                           this key has made another job
--      or {'busy', id}                               not taken: this job of its session is live
--      or {'gone'}                                    not taken: its origin is not there any more
--      or {'full', reason, the tenant's waiting, ms until it may try again, at least, or 0}   not taken; reason is 'depth', 'wait',
--                                                    'tenant', 'rate' or 'budget'
--      or {'withheld'}                               not taken, since another was not and they belong together

local COPIED_AT_ONCE = 500

local max_depth, max_wait, max_waiting, max_running, weight, per_minute, per_day =
  string.match(limits, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
per_minute, per_day = tonumber(per_minute), tonumber(per_day)
local queue, list = queue_of(tenant), TENANT_JOBS .. tenant

local function full(reason, wait_ms) return {'full', reason, tally(tenant).queued, wait_ms or 0} end

-- Before then none of the tenant's jobs that wait for a time can start.
local function ms_until_due()
  local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')[2]
  return first and math.max(0, first - now) or 0
end

-- Whether so many jobs more, of which so many may start now, leave no room for another: the refusal, or nil.
local function crowded(more, ready_more)
  local waiting, own = tally('').queued + more, tally(tenant).queued + more
  if waiting >= tonumber(max_depth) then return full('depth') end
  if tonumber(max_waiting) > 0 and own >= tonumber(max_waiting) then return full('tenant', ms_until_due()) end
  if tonumber(max_wait) > 0 then
    local _, running, slots, busy_ms = unpack(pace())
    local ready = tally('').queued + ready_more - in_nobodys_way()
    if slots > 0 and busy_ms > 0 and (ready + running - slots) * busy_ms / slots > max_wait * 1000 then
      return full('wait')
    end
  end
  if per_day > 0 and spent_today(tenant) >= per_day then return full('budget', DAY_MS - now % DAY_MS) end
  local left, wait_ms = submits_left(tenant, per_minute)
  if left == 0 then return full('rate', wait_ms) end
  if left > 0 and left <= more then return full('rate', math.ceil((more + 1 - left) * 60000 / per_minute)) end
end

-- What this job's idempotency key has made before, as an answer; nil for nothing, or for the job itself.
local function repeated(job)
  if job.idempotency == '' then return nil end
  local prior = redis.call('HMGET', job.idempotency, 'job_id', 'fingerprint')
  if not prior[1] or prior[1] == job.id then return nil end
  local same = not prior[2] or prior[2] == job.fingerprint  -- without one: the job was deleted
  return {same and 'replayed' or 'conflict', prior[1]}
end

local function due_of(job) return math.max(now, tonumber(job.run_at_ms), now + job.delay_ms) end

local function accepted(job, status, next_ms, expires_ms)
  local left = submits_left(tenant, per_minute)
  local ahead, behind = place_of(job)
  return {'accepted', job.id, status, job.wait_reason or '', ahead, behind, tally(tenant).running, next_ms, expires_ms, left}
end

-- That another job of its session is live, which it does not want to wait for, as an answer.
local function taken_by(live) return live and {'busy', live} or nil end

-- That the job it is to be forked from is gone, as an answer.
local function orphaned(job)
  if job.origin == '' then return nil end
  local there = redis.call('HGET', JOB .. job.origin, 'tenant') == tenant
  local enough = redis.call('LLEN', JOB .. job.origin .. TURNS) >= tonumber(job.records)
  return not (there and enough) and {'gone'} or nil
end

-- It begins with what its origin has done, and is told what there is to hear.
local function inherit(job)
  local from, waiting = JOB .. job.origin, nil
  redis.call('HSET', job.key, 'inherited', job.records)
  for at = 0, job.records - 1, COPIED_AT_ONCE do
    local last = math.min(at + COPIED_AT_ONCE, job.records) - 1
    redis.call('RPUSH', job.key .. TURNS, unpack(redis.call('LRANGE', from .. TURNS, at, last)))
  end
  if job.with_mail == '1' then waiting = redis.call('HGET', from, 'mail') end
  for message in string.gmatch(waiting or '', '%S+') do
    redis.call('HSET', job.key .. MAIL, message, redis.call('HGET', from .. MAIL, message))
  end
  if job.message ~= '' then
    redis.call('HSET', job.key .. MAIL, job.message, string.format(
      '{"kind":"message","id":"%s","at_ms":%.0f,"content":', job.message, now) .. job.content .. '}')
    waiting = waiting and waiting .. ' ' .. job.message or job.message
  end
  if waiting then redis.call('HSET', job.key, 'mail', waiting) end
end

local function agree_on_terms()
  local given = terms_of(tenant)
  if given.weight == tonumber(weight) and (given.cap or 0) == tonumber(max_running) then return true end
  redis.call('HSET', TENANTS, tenant .. ':weight', weight)
  redis.call('HDEL', TENANTS, tenant .. ':max_running')
  if max_running ~= '0' then redis.call('HSET', TENANTS, tenant .. ':max_running', max_running) end
  given.weight, given.cap = tonumber(weight), max_running ~= '0' and tonumber(max_running) or nil
  return false
end

local function enter(job)
  take_submit(tenant, per_minute)
  local id, key, due = job.id, JOB .. job.id, due_of(job)
  local place = due - job.head_start_ms
  local expires = tonumber(job.deadline_ms)
  if tonumber(job.ttl_ms) > 0 then expires = math.min(now + job.ttl_ms, expires > 0 and expires or math.huge) end
  redis.call('HSET', key, 'spec', job.spec, 'tenant', tenant, 'status', 'queued', 'revision', 1, 'created_ms', now,
             'place', place)
  redis.call('SET', ARQ_JOB .. id, job.blob)
  if job.idempotency ~= '' then
    redis.call('HSET', job.idempotency, 'job_id', id, 'fingerprint', job.fingerprint)
    redis.call('HSET', key, 'idempotency', job.idempotency)
  end
  if job.session then redis.call('HSET', key, 'session', job.session) end
  if job.origin ~= '' then inherit(job) end
  if job.webhook ~= '' then redis.call('HSET', key, 'webhook', job.webhook) end
  if expires > 0 then
    call_the_watch(expires)
    redis.call('HSET', key, 'expires_ms', expires)
    redis.call('ZADD', EXPIRING, expires, id)
  end

  if redis.call('PTTL', list) ~= -1 then  -- it is new, or was given a lifetime
    redis.call('PERSIST', list)
    redis.call('SADD', LISTED, tenant)
  end
  redis.call('ZADD', list, 0, id)
  local agreed = agree_on_terms()

  count(tenant, 'queued', 1)
  local ready = false
  if due > now then
    job.wait_reason = 'scheduled'
    redis.call('ZADD', queue, due, id)
    redis.call('ZADD', RETURNING, due, id)
    redis.call('HSET', key, 'wait_reason', 'scheduled', 'next_attempt_ms', due)
    count_wait(tenant, 'scheduled', 1)
    call_the_watch(due)
  elseif goes_ahead(job) then
    ready = true
    redis.call('ZADD', queue, place, id)
  else
    hold_back(job)
  end
  -- One more job of a tenant that was ready before changes nothing for it.
  if not agreed or (ready and not redis.call('ZSCORE', READY, tenant)) then rank(tenant, ready) end
  return accepted(job, 'queued', due > now and due or 0, expires)
end

local function submit(job)
  local key = JOB .. job.id
  if redis.call('EXISTS', key) == 1 then
    local status, next_ms, expires_ms, reason =
      unpack(redis.call('HMGET', key, 'status', 'next_attempt_ms', 'expires_ms', 'wait_reason'))
    job.wait_reason = reason
    return accepted(job, status, tonumber(next_ms or 0), tonumber(expires_ms or 0))
  end
  return repeated(job) or orphaned(job) or taken_by(job.alone == '1' and live_job(job)) or crowded(0, 0) or enter(job)
end

-- What would refuse one of them if all came in: an answer for each, or nil when all may.
local function refusals()
  local answers, made, lines, more, ready_more, refused = {}, {}, {}, 0, 0, false
  for i, job in ipairs(each) do
    local said
    if redis.call('EXISTS', JOB .. job.id) == 0 then
      local twin = made[job.idempotency]
      local live = lines[job.session] or live_job(job)
      said = repeated(job) or twin and {twin.fingerprint == job.fingerprint and 'replayed' or 'conflict', twin.id}
          or taken_by(job.alone == '1' and live) or crowded(more, ready_more)
      if not said then
        if job.idempotency ~= '' then made[job.idempotency] = job end
        local due = due_of(job) <= now
        if due and job.session then lines[job.session] = live or job.id end
        more, ready_more = more + 1, ready_more + (due and not live and 1 or 0)
      end
    end
    local bad = said and said[1] ~= 'replayed'
    answers[i], refused = bad and said or {'withheld'}, refused or bad
  end
  return refused and answers or nil
end

for _, job in ipairs(each) do
  job.key, job.tenant, job.queue, job.session = JOB .. job.id, tenant, queue, job.session ~= '' and job.session
end
local answers = together == '1' and refusals()
if not answers then
  answers = {}
  for i, job in ipairs(each) do answers[i] = submit(job) end
end
return {answers, unpack(pace())}
