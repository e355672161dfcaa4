-- job_renew: what a worker believes it holds, against what it does.
-- USES job_common job_outbox job_states job_waking job_fairness job_pace job_reserved job_sessions job_ending job_leases
-- KEYS
-- ARGV owner ids thorough
--   ids        JSON list
--   thorough   1 to set its jobs' backstops anew and to look for cancels that it may not have heard
-- RETURNS {lost ids, unknown ids, cancelling ids}: jobs that are not this worker's any more, jobs of its own that it
--         does not know of (it may just be learning of them), and those that are to be cancelled

local lost, unknown, cancelling, believed = {}, {}, {}, {}
for _, id in ipairs(cjson.decode(ids)) do
  believed[id] = true
  if redis.call('HGET', LEASES, id) ~= owner then
    lost[#lost + 1] = id
  elseif thorough == '1' then
    local job = read(id)
    lease(id, job.queue, owner)
    if job.status == 'cancelling' then cancelling[#cancelling + 1] = id end
  end
end
for _, id in ipairs(redis.call('SMEMBERS', HELD .. owner)) do
  if not believed[id] then unknown[#unknown + 1] = id end
end
return {lost, unknown, cancelling}
