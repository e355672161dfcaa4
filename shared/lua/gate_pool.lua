-- gate_pool: a quota pool as it stands now. A pool is what the provider meters together; its keys share one hash tag.
-- The state is one string in MessagePack, read once at the start of a script and written once at its end: as a hash of
-- thirty fields it would cost several times as much.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines now, saved, get, add, idle_ms and close_pool

local packed = redis.call('GET', state)
local saved = packed and cmsgpack.unpack(packed) or {}

local function get(name, default) return saved[name] or default end

local function add(name, by) saved[name] = (saved[name] or 0) + by end

-- The pool's own time in ms: it never goes back. A clock that is a little behind, after a failover, is waited for; one
-- that is far behind is taken as it goes on from there.
local WAITED_FOR_MS = 5000
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000 + get('clock_ahead', 0)
local behind = get('at', 0) - now
if behind > 0 then
  if behind > WAITED_FOR_MS then add('clock_ahead', behind) end
  now = saved.at
end
local idle_ms = now - get('at', now)  -- since the last script

local function close_pool()
  saved.at = now
  redis.call('SET', state, cmsgpack.pack(saved), 'PX', DAY_MS)
end
