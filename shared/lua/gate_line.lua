-- gate_line: who waits, and whose turn it is. Calls wait in one line per class. Classes share by weight, and within a
-- class tenants do, by start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996): a call starts where its tenant's one
-- before it ended, and costs the largest of its shares of the limits. Who was away takes up at the place of the one
-- served last, so that nobody saves up. Nobody behind the head of a line passes it for want of room.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines line, a table of functions, and open_line

local line = {}
local LINES              -- by class, zset, call id -> its place
local CLASS_WEIGHT = {16, 4, 1}
local TAG = '<dd'
local A_LITTLE = 1e-9  -- of a place: between two that would be the same

local function open_line()
  LINES = {high, standard, low}
  if is_new then  -- the state got lost, but not the lines
    for class, key in ipairs(LINES) do saved['waiting_' .. class] = redis.call('ZCARD', key) end
  end
end

-- A call's cost: minutes of the whole pool's time.
function line.price(call)
  return math.max(1 / buckets.requests.limit, call.input / buckets.input.limit, call.output / buckets.output.limit)
end

-- Where a tenant's next call in this class starts: by what it has used, and not before its calls that wait already.
function line.tag_of(call)
  local known = redis.call('HGET', tags, call.class .. ':' .. call.tenant)
  if not known then return 0, 0 end
  local tag, last = struct.unpack(TAG, known)
  return tag, last
end

function line.keep_tag(call, tag, last)
  local is_first = redis.call('HSET', tags, call.class .. ':' .. call.tenant, struct.pack(TAG, tag, last)) == 1
  if is_first then redis.call('PEXPIRE', tags, DAY_MS) end
end

-- A call gets its place and pays for it; one that the provider refused keeps the place it had.
function line.take_place(call)
  local tag, last = line.tag_of(call)
  tag = math.max(get('place_' .. call.class, 0), tag)
  local place = math.max(tag, last) + A_LITTLE
  line.keep_tag(call, tag + call.cost / call.weight, call.place and last or place)
  call.place = call.place and math.min(call.place, place) - 2 * A_LITTLE or place
end

-- A class that has somebody to serve again takes up at the turn of the one served last.
function line.wake_up(class) saved['turn_' .. class] = math.max(get('turn_' .. class, 0), get('turn', 0)) end

function line.length() return get('waiting_1', 0) + get('waiting_2', 0) + get('waiting_3', 0) end

function line.nobody_waits() return line.length() == 0 end

function line.join(id, call)
  local class, is_first = call.class, line.nobody_waits()
  local head = at_hand.heads[class]
  if head and head.call.place > call.place then at_hand.heads[class] = nil end
  redis.call('ZADD', LINES[class], string.format('%.16g', call.place), id)
  redis.call('HSET', waiting, id, cmsgpack.pack(call))
  redis.call('HINCRBY', tenants, call.tenant, 1)
  if get('waiting_' .. class, 0) == 0 then
    line.wake_up(class)
    redis.call('PEXPIRE', LINES[class], DAY_MS)
  end
  if is_first then
    redis.call('PEXPIRE', waiting, DAY_MS)
    redis.call('PEXPIRE', tenants, DAY_MS)
  end
  add('waiting_' .. class, 1)
  add('ahead_' .. class, call.cost)
  saved['end_' .. class] = math.max(get('end_' .. class, call.place), call.place)
end

-- Whose turn it is: id, call; nil when nobody waits.
function line.head()
  local best
  for class = 1, #LINES do
    if get('waiting_' .. class, 0) > 0 and (not best or get('turn_' .. class, 0) < get('turn_' .. best, 0)) then
      best = class
    end
  end
  if not best then return nil end
  local head = at_hand.heads[best]
  if head then return head.id, head.call end
  local id = redis.call('ZRANGE', LINES[best], 0, 0)[1]
  local record = id and redis.call('HGET', waiting, id)
  if record then
    head = {id = id, call = cmsgpack.unpack(record)}
    at_hand.heads[best] = head
    return id, head.call
  end
  if id then redis.call('ZREM', LINES[best], id) end
  saved['waiting_' .. best] = redis.call('ZCARD', LINES[best])  -- the keys do not fit together: what is there counts
  return line.head()
end

function line.leave(id, call)
  local head = at_hand.heads[call.class]
  if head and head.id == id then at_hand.heads[call.class] = nil end
  redis.call('ZREM', LINES[call.class], id)
  redis.call('HDEL', waiting, id)
  if redis.call('HINCRBY', tenants, call.tenant, -1) <= 0 then redis.call('HDEL', tenants, call.tenant) end
  add('waiting_' .. call.class, -1)
  saved['ahead_' .. call.class] = math.max(0, get('ahead_' .. call.class, 0) - call.cost)
  if get('waiting_' .. call.class, 0) == 0 then saved['ahead_' .. call.class], saved['end_' .. call.class] = 0, nil end
end

-- The call is served: its class moves on, and the line with it.
function line.charge(call)
  local turn = get('turn_' .. call.class, 0)
  saved['place_' .. call.class] = math.max(get('place_' .. call.class, 0), call.place)
  saved.turn = math.max(get('turn', 0), turn)
  saved['turn_' .. call.class] = turn + call.cost / CLASS_WEIGHT[call.class]
end

-- It has cost other than was thought. One that was never served costs nothing, and who comes after it moves up.
function line.recharge(call, cost, served)
  local tag, last = line.tag_of(call)
  local more = (cost - call.cost) / call.weight
  line.keep_tag(call, tag + more, served and last or last + more)
  if served then add('turn_' .. call.class, more * call.weight / CLASS_WEIGHT[call.class]) end
end

-- How many of its class wait before this place. Most calls stand at the end when they ask.
function line.before(class, place)
  local waits, last = get('waiting_' .. class, 0), get('end_' .. class, place)
  if waits == 0 or place > last then return waits end
  if place == last then return waits - 1 end
  return redis.call('ZCOUNT', LINES[class], '-inf', string.format('(%.16g', place))
end

-- How many ms a call may have to wait, roughly: for those of its class before its place, and for what classes that wait
-- beside it get meanwhile.
function line.expected(class, place, cost)
  local waits, weight = get('waiting_' .. class, 0), CLASS_WEIGHT[class]
  local own = waits > 0 and get('ahead_' .. class, 0) * line.before(class, place) / waits or 0
  local minutes, pace = own, factor
  for other = 1, #LINES do
    if other ~= class then
      minutes = minutes + math.min(get('ahead_' .. other, 0), (own + cost) * CLASS_WEIGHT[other] / weight)
    end
  end
  for _, bucket in pairs(buckets) do pace = math.min(pace, factor * bucket.share) end
  local _, next_one = line.head()
  return math.max(minutes * 60000 / pace, next_one and meter.room_for(next_one) or 0, breaker.held_up() or 0)
end
