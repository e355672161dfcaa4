-- job_events: a tenant's job's events after number `after`, the oldest first.
-- KEYS
-- ARGV id tenant after most
--   most   how many events; fewer come when they are large
-- RETURNS {} for a job there is not, another tenant's included; else {status, created (ms), number of its last event,
--         1 while a worker holds it, {{id, fields}, …}}

local AT_ONCE = 50
local MOST_BYTES = 1e6

local record = redis.pcall('HMGET', JOB .. id, 'tenant', 'status', 'created_ms', 'events')
if record.err or record[1] ~= tenant then return {} end

local left, bytes, from, found = tonumber(most), 0, tonumber(after) + 1, {}
while left > 0 and bytes < MOST_BYTES do
  local some = redis.call('XRANGE', JOB .. id .. EVENTS, string.format('%.0f', from), '+', 'COUNT', math.min(left, AT_ONCE))
  for _, event in ipairs(some) do
    found[#found + 1] = event
    for _, text in ipairs(event[2]) do bytes = bytes + #text end
  end
  left = left - #some
  if #some < AT_ONCE then break end
  from = string.match(some[#some][1], '^%d+') + 1
end
return {record[2], record[3], tonumber(record[4] or 1), redis.call('HEXISTS', LEASES, id), found}
