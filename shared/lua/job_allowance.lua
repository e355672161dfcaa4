-- job_allowance: what a tenant may do in a time: so many submits a minute, so much money a day (UTC).
-- Submits by the generic cell rate algorithm (ITU-T I.371): a whole minute's worth may come at once, then one flows in
-- after the other. All that is stored is when the whole minute's worth will be there again.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines submits_left, take_submit, spent_today, spend

local MINUTE_MS = 60000

-- How many ms must pass until a whole minute's worth is there.
local function missing(tenant)
  return math.max(0, math.min(tonumber(redis.call('GET', SUBMITS .. tenant) or 0) - now, MINUTE_MS))
end

-- How many submits a tenant may make now, -1 for any number; and in how many ms it may make one.
local function submits_left(tenant, per_minute)
  if per_minute == 0 then return -1, 0 end
  local apart, gone = MINUTE_MS / per_minute, missing(tenant)
  local left = math.floor((MINUTE_MS - gone) / apart + 1e-6)
  return left, left > 0 and 0 or math.ceil(gone + apart - MINUTE_MS)
end

local function take_submit(tenant, per_minute)
  if per_minute == 0 then return end
  local ahead = missing(tenant) + MINUTE_MS / per_minute
  redis.call('SET', SUBMITS .. tenant, string.format('%.3f', now + ahead), 'PX', math.ceil(ahead))
end

local today = SPENT .. string.format('%.0f', math.floor(now / DAY_MS))

-- In nano-dollars, as are all sums here.
local function spent_today(tenant) return tonumber(redis.call('HGET', today, tenant) or 0) end

local function spend(tenant, cost)
  redis.call('HINCRBY', today, tenant, string.format('%.0f', cost))
  redis.call('PEXPIRE', today, 2 * DAY_MS)
end
