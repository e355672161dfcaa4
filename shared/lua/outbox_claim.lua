-- outbox_claim: takes deliveries that are due, of many hosts rather than many of one. Each is this courier's for the
-- lease; after that it is due again, for whoever comes.
-- USES job_common job_outbox
-- KEYS
-- ARGV most hosts lease_ms
--   hosts   JSON {"well": {host: true}, "per_well": how many of such a host, "per_other": how many of another one,
--           "others": how many of all others together, "room": {host: how many of this one, whatever it is}}
-- RETURNS {now, deliveries, ms until the next is due or -1, ms since the oldest has been due, how many may be left}
--           deliveries = {id, record, endpoint, length of the output or -1, output or '', …}; the first two flat
--           HGETALL, the endpoint's empty when there is none. An output longer than what is sent is left out

local LONGEST_OUTPUT = 20480
local MOST_HOSTS = 1000   -- that are looked at: more of them hang or wait than can be under way here

local free, limits, taken = tonumber(most), cjson.decode(hosts), {}
local others = limits.others

local function output_of(record)
  local job = record.job_id and FINISHED[record.job_status] and JOB .. record.job_id
  if not job or redis.call('EXISTS', job) == 0 then return -1, '' end
  local length = redis.call('HSTRLEN', job, 'output')
  return length, length <= LONGEST_OUTPUT and redis.call('HGET', job, 'output') or ''
end

local function take(host, id)
  local key = DELIVERY .. id
  local tenant, endpoint_id, job_id, job_status =
    unpack(redis.call('HMGET', key, 'tenant', 'endpoint_id', 'job_id', 'job_status'))
  if not tenant then return redis.call('ZREM', OUTBOX_HOST .. host, id) end
  redis.call('HINCRBY', key, 'claims', 1)
  redis.call('HSET', key, 'leased_ms', now + lease_ms)
  redis.call('ZADD', OUTBOX_HOST .. host, now + lease_ms, id)
  local length, output = output_of({job_id = job_id, job_status = job_status})
  for _, part in ipairs({id, redis.call('HGETALL', key),
                         redis.call('HGETALL', ENDPOINT .. tenant .. ':' .. endpoint_id), length, output}) do
    taken[#taken + 1] = part
  end
  free = free - 1
end

local function take_from(host)
  local well = limits.well[host]
  local wanted = math.min(free, limits.room[host] or (well and limits.per_well or limits.per_other))
  if not well then wanted = math.min(wanted, others) end
  if wanted <= 0 then return end
  local ids = redis.call('ZRANGEBYSCORE', OUTBOX_HOST .. host, '-inf', now, 'LIMIT', 0, wanted)
  for _, id in ipairs(ids) do take(host, id) end
  if not well then others = others - #ids end
  rank_host(host)
end

local due = redis.call('ZRANGEBYSCORE', OUTBOX, '-inf', now, 'WITHSCORES', 'LIMIT', 0, MOST_HOSTS)
local oldest_ms = due[2] and math.max(0, now - due[2]) or 0

for _, first_time in ipairs({true, false}) do  -- hosts that have nothing under way here come first
  for i = 1, #due, 2 do
    if (limits.room[due[i]] == nil) == first_time then take_from(due[i]) end
  end
end

local left = redis.call('ZCOUNT', OUTBOX, '-inf', now)
if left > 0 and free == 0 then call_a_courier() end  -- there is more than one can do
local next = redis.call('ZRANGEBYSCORE', OUTBOX, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
return {now, taken, next and math.ceil(next - now) or -1, math.floor(oldest_ms), left}
