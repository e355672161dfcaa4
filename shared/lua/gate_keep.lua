-- gate_keep: a sign of life of a worker whose calls wait or are in flight. It finds out about grants whose message got
-- lost, about calls that the gate knows nothing of any more, which are to enter again, and about those that the worker
-- knows nothing of: a cancelled call whose own command came late, over a link that was silent.
-- LIBRARY gate
-- USES gate_pool gate_usage gate_buckets gate_headers gate_breaker gate_line gate_granting gate_news
-- KEYS state high standard low waiting tenants calls tags estimates holders
-- ARGV worker ids known said limits
--   ids      JSON list: its calls that wait
--   known    JSON object with all its calls, in flight or waiting, as names; '' when it has no doubts
--   said     see gate_news
-- RETURNS {see gate_granting, {{id, ms to wait, 1 for the one that tries, else 0, requests, input, output}, …} granted,
--         {id, …} unknown, living workers}; see gate_enter
local SETTLED_MS = 5000  -- after which a call in flight must be known to its worker

local function give_up_unknown(mine)
  local all = redis.call('HGETALL', calls)
  for i = 1, #all, 2 do
    local call = cmsgpack.unpack(all[i + 1])
    if call.worker == worker and not mine[all[i]] and now - call.starts > SETTLED_MS then grants.drop(all[i], call) end
  end
end

meter.flow()
grants.sign_of_life()
news.take(said)
if known ~= '' then give_up_unknown(cjson.decode(known)) end
local concluded = grants.conclude(worker)
local passed, unknown = {}, {}
for _, id in ipairs(cjson.decode(ids)) do
  local call = redis.call('HGET', calls, id)
  if call then
    call = cmsgpack.unpack(call)
    passed[#passed + 1] = {id, math.ceil(math.max(0, call.starts - now)), call.tries or 0, unpack(call.leaves or {})}
  elseif redis.call('HEXISTS', waiting, id) == 0 then
    unknown[#unknown + 1] = id
  end
end
return {concluded, passed, unknown, redis.call('ZCARD', holders)}
