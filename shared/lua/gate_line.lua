-- gate_line: who waits, and whose turn it is. Calls wait in one line per class. Classes share by weight, and within a
-- class tenants do, by start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996): a call starts where its tenant's one
-- before it ended, and costs the largest of its shares of the limits. Who was away takes up at the place of the one
-- served last, so that nobody saves up. Nobody behind the head of a line passes it for want of room.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines price, take_place, line_up, head, step_out, charge, recharge

local LINES = {high, standard, low}  -- zset, call id -> its place
local CLASS_WEIGHT = {16, 4, 1}
local BEFORE_ITS_LIKE = 1e-9

-- A call's cost: minutes of the whole pool's time.
local function price(call)
  return math.max(1 / buckets.requests.limit, call.input / buckets.input.limit, call.output / buckets.output.limit)
end

-- A call gets its place, or keeps the one it had before the provider refused it.
local function take_place(call)
  if call.place then
    call.place = call.place - BEFORE_ITS_LIKE
    return
  end
  local flow_of = call.class .. ':' .. call.tenant
  call.place = math.max(get('place_' .. call.class, 0), tonumber(redis.call('HGET', tags, flow_of) or 0))
  redis.call('HSET', tags, flow_of, string.format('%.16g', call.place + call.cost / call.weight))
end

-- A class that has somebody to serve again takes up at the turn of the one served last.
local function wake_up(class) saved['turn_' .. class] = math.max(get('turn_' .. class, 0), get('turn', 0)) end

local function nobody_waits()
  return get('waiting_1', 0) + get('waiting_2', 0) + get('waiting_3', 0) == 0
end

local function line_up(id, call)
  local class = call.class
  if get('waiting_' .. class, 0) == 0 then wake_up(class) end
  add('waiting_' .. class, 1)
  add('ahead_' .. class, call.cost)
  redis.call('ZADD', LINES[class], string.format('%.16g', call.place), id)
  redis.call('HSET', waiting, id, cmsgpack.pack(call))
  redis.call('PEXPIRE', LINES[class], DAY_MS)
  redis.call('PEXPIRE', waiting, DAY_MS)
  redis.call('HINCRBY', tenants, call.tenant, 1)
  redis.call('PEXPIRE', tenants, DAY_MS)
end

-- Whose turn it is: id, call; nil when nobody waits.
local function head()
  local best
  for class = 1, #LINES do
    if get('waiting_' .. class, 0) > 0 and (not best or get('turn_' .. class, 0) < get('turn_' .. best, 0)) then
      best = class
    end
  end
  if not best then return nil end
  local id = redis.call('ZRANGE', LINES[best], 0, 0)[1]
  local record = id and redis.call('HGET', waiting, id)
  if record then return id, cmsgpack.unpack(record) end
  if id then redis.call('ZREM', LINES[best], id) end
  saved['waiting_' .. best] = redis.call('ZCARD', LINES[best])  -- the keys do not fit together: what is there counts
  return head()
end

local function step_out(id, call)
  redis.call('ZREM', LINES[call.class], id)
  redis.call('HDEL', waiting, id)
  if redis.call('HINCRBY', tenants, call.tenant, -1) <= 0 then redis.call('HDEL', tenants, call.tenant) end
  add('waiting_' .. call.class, -1)
  saved['ahead_' .. call.class] = math.max(0, get('ahead_' .. call.class, 0) - call.cost)
  if get('waiting_' .. call.class, 0) == 0 then saved['ahead_' .. call.class] = 0 end
end

-- The call is served: its class moves on, and its tenant with it.
local function charge(call)
  local turn = get('turn_' .. call.class, 0)
  saved['place_' .. call.class] = math.max(get('place_' .. call.class, 0), call.place)
  saved.turn = math.max(get('turn', 0), turn)
  saved['turn_' .. call.class] = turn + call.cost / CLASS_WEIGHT[call.class]
end

-- It has cost other than was thought.
local function recharge(call, cost)
  local more = (cost - call.cost) / call.weight
  redis.call('HINCRBYFLOAT', tags, call.class .. ':' .. call.tenant, string.format('%.16g', more))
  redis.call('PEXPIRE', tags, DAY_MS)
end
