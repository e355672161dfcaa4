-- job_ending: what becomes of a job's keys when it gives up its slot or ends.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines unlease, waits_no_more, retire

-- The worker does not hold the job any more; the time it did is what a job costs in slots.
local function unlease(job)
  local owner = redis.call('HGET', LEASES, job.id)
  if owner then redis.call('SREM', HELD .. owner, job.id) end
  redis.call('HDEL', LEASES, job.id)
  if redis.call('EXISTS', LEASES) == 0 then redis.call('PEXPIRE', WORKERS, DAY_MS) end
  redis.call('DEL', ARQ_IN_PROGRESS .. job.id)
  set_aside(job, 0)
  if job.claimed_ms then
    job.busy_ms = (job.busy_ms or 0) + math.max(0, now - job.claimed_ms)
    redis.call('HSET', job.key, 'busy_ms', job.busy_ms)
    redis.call('HDEL', job.key, 'claimed_ms')
    job.claimed_ms = false
  end
end

-- What a session remembers of a job that has ended just now: see shared/history.py. Nothing of one that got no answer, or
-- was refused one, and will be for as long as it is repeated; of one that is longer than all of the history may be,
-- only what it was asked and what it said last.
local function remember(job, history, most_bytes)
  local records = redis.call('LRANGE', job.key .. TURNS, 0, -1)
  local spec, output, incomplete = unpack(redis.call('HMGET', job.key, 'spec', 'output', 'incomplete'))
  if not (records[1] or output) or incomplete == 'refusal' then return end
  local about = string.format('{"job_id":%s,"status":"%s","finished_ms":%.0f,"spec":', cjson.encode(job.id), job.status, now)
      .. spec .. ',"output":' .. cjson.encode(output or '')
  local entry = about .. ',"records":[' .. table.concat(records, ',') .. ']}'
  if #entry > most_bytes then entry = about .. ',"records":[]}' end
  if #entry > most_bytes then return end
  redis.call('RPUSH', history, entry)
  local kept, bytes = redis.call('LRANGE', history, 0, -1), 0
  for i = #kept, 1, -1 do
    bytes = bytes + #kept[i]
    if bytes > most_bytes then return redis.call('LTRIM', history, i - #kept, -1) end
  end
end

-- A job leaves the line of its session. The live one is remembered and lets in the next, or leaves the session idle.
local function leave_session(job)
  local session, idle_ms, most_bytes = session_of(job)
  local line, live = session .. LINE, live_job(job)
  redis.call('ZREM', line, job.id)
  if live ~= job.id then return end
  remember(job, session .. HISTORY, most_bytes)
  local next = redis.call('ZRANGE', line, 0, 0)[1]
  if not next then
    redis.call('PEXPIRE', session .. HISTORY, idle_ms)
    redis.call('PEXPIRE', session .. NOTES, idle_ms)
    return
  end
  next = read(next)
  redis.call('ZADD', next.queue, next.place, next.id)
  redis.call('HDEL', next.key, 'wait_reason')
  count_wait(next.tenant, 'session_busy', -1)
  announce(next)
end

-- A job does not wait for a person any more; the time it did does not count as its own.
local function waits_no_more(job)
  redis.call('ZREM', DECIDING, job.id)
  redis.call('HINCRBY', job.key, 'waited_ms', string.format('%.0f', now - redis.call('HGET', job.key, 'asked_ms')))
  redis.call('HDEL', job.key, 'asks', 'asked_ms')
  job.asks = false
end

-- It has ended before anybody decided: what it asked is out of the inbox.
local function withdraw(job)
  for action in string.gmatch(job.asks, '%S+') do
    redis.call('HDEL', job.key .. ACTIONS, action .. ':lapsed')
    redis.call('HSET', job.key .. ACTIONS, action .. ':decided',
               string.format('{"decided_ms":%.0f,"decision":"withdrawn"}', now))
    redis.call('ZREM', TENANT_ACTIONS .. job.tenant, action .. ' ' .. job.id)
  end
  waits_no_more(job)
end

-- A job has ended: takes it out of the queue, leaves arq's result, gives everything of it a lifetime.
local function retire(job, retention_ms)
  unlease(job)
  redis.call('ZREM', job.queue, job.id)
  redis.call('ZREM', RETURNING, job.id)
  if job.expires_ms and not job.started_ms then redis.call('ZREM', EXPIRING, job.id) end
  if job.asks then withdraw(job) end
  redis.call('HSET', job.key, 'finished_ms', now)
  redis.call('HDEL', job.key, 'wait_reason', 'next_attempt_ms', 'said')
  if job.wait_reason then count_wait(job.tenant, job.wait_reason, -1) end
  if job.said and job.status == 'cancelled' then redis.call('HSETNX', job.key, 'output', job.said) end
  if job.started_ms then learn_pace(tonumber(job.busy_ms or 0)) end

  if job.session then leave_session(job) end

  redis.call('DEL', ARQ_JOB .. job.id, ARQ_RETRY .. job.id)
  redis.call('SET', ARQ_RESULT .. job.id, cjson.encode({
    t = 1, f = JOB_FUNCTION, a = {job.id}, k = {}, et = tonumber(job.created_ms), s = job.status == 'succeeded', r = job.status,
    st = tonumber(job.started_ms or now), ft = now, q = job.queue, id = job.id,
  }), 'PX', retention_ms)
  redis.call('PEXPIRE', job.key, retention_ms)
  redis.call('PEXPIRE', job.key .. TURNS, retention_ms)
  redis.call('PEXPIRE', job.key .. NOTES, retention_ms)
  redis.call('PEXPIRE', job.key .. ACTIONS, retention_ms)
  redis.call('PEXPIRE', job.key .. MAIL, retention_ms)
  -- Redis gives a stream that grows 4 KB in advance; a copy has only what it needs.
  redis.call('COPY', job.key .. EVENTS, job.key .. EVENTS .. PACKED)
  redis.call('RENAME', job.key .. EVENTS .. PACKED, job.key .. EVENTS)
  redis.call('PEXPIRE', job.key .. EVENTS, retention_ms)
  local a_day_at_least = math.max(retention_ms, DAY_MS)
  if job.idempotency then redis.call('PEXPIRE', job.idempotency, a_day_at_least) end
  rank(job.tenant)
  if forget(job.tenant) then redis.call('PEXPIRE', TENANT_JOBS .. job.tenant, a_day_at_least) end
end
