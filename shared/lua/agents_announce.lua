-- agents_announce: writes a worker's agents into the catalogue and forgets those that nobody announces any more.
-- KEYS agents
-- ARGV entries forget_ms
--   entries   JSON object, agent name -> its entry as JSON text
-- RETURNS how many agents are known now

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for name, entry in pairs(cjson.decode(entries)) do
  redis.call('HSET', agents, name, string.format('{"seen_ms":%.0f,"entry":%s}', now, entry))
end
local known = redis.call('HGETALL', agents)
for i = 1, #known, 2 do
  local seen_ms = tonumber(string.match(known[i + 1], '^{"seen_ms":(%d+)'))
  if now - seen_ms > tonumber(forget_ms) then redis.call('HDEL', agents, known[i]) end
end
return redis.call('HLEN', agents)
