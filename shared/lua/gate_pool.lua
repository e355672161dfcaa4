-- gate_pool: a quota pool as it stands now. A pool is what the provider meters together; its keys share one hash tag.
-- The state is one string in MessagePack, read once when a function begins and written once at its end: as a hash of
-- thirty fields it would cost several times as much. It is taken apart only when it is not what this server wrote last.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines saved, at_hand, is_new, now, idle_ms, get, add, open_pool and close_pool

local WAITED_FOR_MS = 5000
local MOST_KEPT = 50
local AT_HAND_MS = 1000  -- after which it is read again: the keys may have been evicted
local saved, is_new, now
local idle_ms           -- since the last function
-- What was read of the pool's other keys and is still so: whoever changes them writes the state, too.
--   flying     how many calls are in flight
--   living     by worker, when it last said so
--   heads      by class, who is next: {id, call}
--   estimates  by agent, what its calls are like
--   since      when it was read
local at_hand
-- By a pool's key, its state as text and as table, and what is at hand; of how many pools.
local kept, kept_of = {}, 0

local function get(name, default) return saved[name] or default end

local function add(name, by) saved[name] = (saved[name] or 0) + by end

-- What a function changes and does not write, since it breaks off or only looks, is never taken for the state.
local function read_state()
  local packed, last = redis.call('GET', state), kept[state]
  kept[state] = nil
  is_new, at_hand = not packed, nil
  if last then
    kept_of = kept_of - 1
    if last.packed == packed then
      at_hand = last.at_hand
      return last.saved
    end
  end
  return packed and cmsgpack.unpack(packed) or {}
end

-- The pool's own time in ms: it never goes back. A clock that is a little behind, after a failover, is waited for; one
-- that is far behind is taken as it goes on from there.
local function open_pool()
  saved = read_state()
  local clock = redis.call('TIME')
  now = clock[1] * 1000 + clock[2] / 1000 + get('clock_ahead', 0)
  local behind = get('at', 0) - now
  if behind > 0 then
    if behind > WAITED_FOR_MS then add('clock_ahead', behind) end
    now = saved.at
  end
  idle_ms = now - get('at', now)
  if not at_hand or now - at_hand.since > AT_HAND_MS then
    at_hand = {living = {}, heads = {}, estimates = {}, since = now}
  end
end

local function close_pool()
  saved.at = now
  local packed = cmsgpack.pack(saved)
  redis.call('SET', state, packed, 'PX', DAY_MS)
  if kept_of >= MOST_KEPT then kept, kept_of = {}, 0 end
  kept[state], kept_of = {packed = packed, saved = saved, at_hand = at_hand}, kept_of + 1
end
