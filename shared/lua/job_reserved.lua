-- job_reserved: money that is set aside for the model calls a job has in flight, while a worker holds it. Until they are
-- settled it counts as spent when others of its tenant ask for some (job_reserve). It belongs to no day: what is in
-- flight over midnight counts against the new one, as what it will have cost does.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines reserved_of, set_aside

-- In nano-dollars, as are all sums here.
local function reserved_of(tenant) return tonumber(redis.call('HGET', RESERVED, tenant) or 0) end

-- From now on it is so much for all calls of the job together.
local function set_aside(job, nano)
  local before = tonumber(job.reserved or 0)
  if nano == before then return end
  job.reserved = nano
  local all = redis.call('HINCRBY', RESERVED, job.tenant, string.format('%.0f', nano - before))
  if all <= 0 then redis.call('HDEL', RESERVED, job.tenant) end
  if nano > 0 then
    redis.call('HSET', job.key, 'reserved', string.format('%.0f', nano))
  else
    redis.call('HDEL', job.key, 'reserved')
  end
end
