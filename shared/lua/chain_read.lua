-- chain_read: the last calls of a target of a chain, those of the last day. Changes nothing.
-- KEYS calls
-- ARGV
-- RETURNS their notes, as JSON, newest first

local oldest = redis.call('TIME')[1] - DAY_MS / 1000
local notes = {}
for _, line in ipairs(redis.call('LRANGE', calls, 0, -1)) do
  local seconds, note = string.match(line, '^(%d+) (.*)$')
  if tonumber(seconds) >= oldest then notes[#notes + 1] = note end
end
return notes
