-- job_renew: what a worker believes it holds, against what it does.
-- USES job_common job_fairness job_pace job_ending job_leases
-- KEYS
-- ARGV owner ids thorough
--   ids        JSON list
--   thorough   1 to set its jobs' backstops anew and to look for cancels that it may not have heard
-- RETURNS {lost ids, unknown ids, cancelling ids}: jobs that are not this worker's any more, jobs of its own that it
--         does not know of (it may just be learning of them), and those that are to be cancelled

local lost, unknown, cancelling, believed = {}, {}, {}, {}
local held, is_held = redis.call('HGETALL', LEASES), {}
for i = 1, #held, 2 do is_held[held[i]] = held[i + 1] == owner end
for _, id in ipairs(cjson.decode(ids)) do
  believed[id] = true
  if not is_held[id] then lost[#lost + 1] = id end
end
for id, own in pairs(is_held) do
  if own and not believed[id] then unknown[#unknown + 1] = id end
  if own and believed[id] and thorough == '1' then
    local job = read(id)
    lease(id, job.queue, owner)
    if job.status == 'cancelling' then cancelling[#cancelling + 1] = id end
  end
end
return {lost, unknown, cancelling}
