-- gate_usage: what calls used of the budget in the last minute, how many of them got a 429, and what is reserved for
-- those in flight. It is for people to look at; nothing is decided by it. It goes by slots of ten seconds. Those that
-- are over are one packed string in the state, so that a script, which reads and writes all of it, has only the slot
-- that is counted in to take apart.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines usage, a table of functions

local usage = {}
local SLOT_MS, SLOTS = 10000, 6

-- Begins the next slot when it is time.
function usage.turn_slot()
  local slot = math.floor(now / SLOT_MS)
  if saved.used_slot == slot then return end
  local past, kept = saved.used_before and cmsgpack.unpack(saved.used_before) or {}, {}
  past[#past + 1] = {get('used_slot', 0), {
    requests = saved.used_requests, input = saved.used_input, output = saved.used_output, refused = saved.used_refused,
  }}
  for _, each in ipairs(past) do
    if slot - SLOTS <= each[1] and each[1] < slot then kept[#kept + 1] = each end
  end
  saved.used_before, saved.used_slot = cmsgpack.pack(kept), slot
  saved.used_requests, saved.used_input, saved.used_output, saved.used_refused = 0, 0, 0, 0
end

function usage.count(requests, input, output)
  usage.turn_slot()
  add('used_requests', requests)
  add('used_input', input)
  add('used_output', output)
end

function usage.taken(call)
  usage.count(1, call.input, 0)
  add('reserved', call.input)
end

function usage.drawn(output)
  usage.turn_slot()
  add('used_output', output)
end

-- What was taken for the call, and drawn by it, becomes what it has used.
function usage.settled(call, used, drawn)
  usage.count(used.requests - 1, used.input - call.input, used.output - drawn)
  saved.reserved = math.max(0, get('reserved', 0) - call.input)
end

-- The provider has counted the input of a call in flight.
function usage.counted(call, input)
  usage.count(0, input - call.input, 0)
  add('reserved', input - call.input)
end

function usage.refused()
  usage.turn_slot()
  add('used_refused', 1)
end

-- Of the slot in which the minute began, so much counts as lies within it.
function usage.of_a_minute()
  usage.turn_slot()
  local sum = {
    requests = saved.used_requests, input = saved.used_input, output = saved.used_output, refused = saved.used_refused,
  }
  for _, each in ipairs(cmsgpack.unpack(saved.used_before)) do
    local share = math.min(1, each[1] + 1 + SLOTS - now / SLOT_MS)
    for name, number in pairs(each[2]) do sum[name] = sum[name] + share * number end
  end
  return sum
end
