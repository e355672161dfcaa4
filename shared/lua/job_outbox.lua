-- job_outbox: the outbox of webhooks. An event is written there by the script that makes it happen, so that no crash
-- comes between the two. Deliveries wait by host, so that the many of one host are in no other's way.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines due_at, call_a_courier, drop, file, post, forget_words

local LISTED_MS = 5 * DAY_MS   -- no delivery waits so long for its next attempt
local MOST_LISTED = 100000     -- deliveries of one tenant that can be listed
local OLDEST_LOOKED_AT = 3

local function rank_host(host)
  local first = redis.call('ZRANGE', OUTBOX_HOST .. host, 0, 0, 'WITHSCORES')[2]
  if first then redis.call('ZADD', OUTBOX, first, host) else redis.call('ZREM', OUTBOX, host) end
end

-- Leaves one token for one idle courier.
local function call_a_courier()
  if redis.call('LLEN', OUTBOX_WAKE) == 0 then redis.call('RPUSH', OUTBOX_WAKE, '1') end
end

-- A delivery is to be attempted at this time.
local function due_at(host, id, at)
  redis.call('ZADD', OUTBOX_HOST .. host, at, id)
  rank_host(host)
  if at <= now then call_a_courier() end
end

-- A delivery is not to be attempted any more.
local function drop(host, id)
  redis.call('ZREM', OUTBOX_HOST .. host, id)
  rank_host(host)
end

local function list(id, tenant, lasting_ms)
  local ids = TENANT_DELIVERIES .. tenant
  redis.call('ZADD', ids, 0, id)
  if redis.call('PTTL', ids) < lasting_ms then redis.call('PEXPIRE', ids, lasting_ms) end
  for _, old in ipairs(redis.call('ZRANGE', ids, 0, OLDEST_LOOKED_AT - 1)) do
    if redis.call('EXISTS', DELIVERY .. old) == 0 then redis.call('ZREM', ids, old) end
  end
  redis.call('ZREMRANGEBYRANK', ids, 0, -1 - MOST_LISTED)
end

-- A new delivery, due now. `about` is JSON that comes back as it is; `wanted` is the same, decoded.
local function file(id, tenant, type, about, wanted)
  redis.call('HSET', DELIVERY .. id, 'about', about, 'tenant', tenant, 'type', type, 'host', wanted.host,
             'endpoint_id', wanted.endpoint_id, 'at_ms', now, 'state', 'pending', 'next_ms', now)
  list(id, tenant, LISTED_MS)
  due_at(wanted.host, id, now)
end

local function delivery_of(job, revision)
  return 'msg_' .. string.gsub(job.id, '^job_', '') .. '_' .. revision
end

-- The job has become what it is now: tells its receiver, if that is to hear of it.
local function post(job, revision)
  local wanted, type = cjson.decode(job.webhook), 'job.' .. job.status
  if job.status == 'running' then
    if job.started_ms then return end  -- it goes on
    type = 'job.started'
  end
  if not string.find(' ' .. wanted.events .. ' ', ' ' .. type .. ' ', 1, true) then return end

  local id = delivery_of(job, revision)
  file(id, job.tenant, type, job.webhook, wanted)
  local usage, spent = redis.call('HMGET', job.key, unpack(USAGE_FIELDS)), {}
  for i, name in ipairs(USAGE_FIELDS) do
    spent[#spent + 1] = name
    spent[#spent + 1] = usage[i] or 0
  end
  redis.call('HSET', DELIVERY .. id, 'job_id', job.id, 'job_status', job.status, 'revision', revision, unpack(spent))
  if job.asked then redis.call('HSET', DELIVERY .. id, 'actions', job.asked) end
end

-- Takes out of the attempts what receivers have answered, which may repeat what they were told.
local function forget_answers(attempts)
  for i, line in ipairs(redis.call('LRANGE', attempts, 0, -1)) do
    local made = cjson.decode(line)
    if made.answer and made.answer ~= cjson.null then
      made.answer = cjson.null
      redis.call('LSET', attempts, i - 1, cjson.encode(made))
    end
  end
end

-- Takes out of a job's deliveries what its caller has said and what its agent has asked. What is left says what became
-- of the job and where that was told; one that waits is still sent. Each is looked for by its id: the list of a
-- tenant's deliveries has only the newest.
local function forget_words(job)
  if not job.webhook then return end
  for revision = 1, tonumber(redis.call('HGET', job.key, 'revision')) do
    local key = DELIVERY .. delivery_of(job, revision)
    local about = redis.call('HGET', key, 'about')
    if about then
      about = cjson.decode(about)
      about.session_id, about.metadata = cjson.null, {}
      redis.call('HSET', key, 'about', cjson.encode(about))
      redis.call('HDEL', key, 'actions')
      forget_answers(key .. ATTEMPTS)
    end
  end
end
