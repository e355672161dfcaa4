-- gate_pool: a quota pool as it stands now. A pool is what the provider meters together; its keys share one hash tag.
-- The state is one string in MessagePack, read once at the start of a script and written once at its end: as a hash of
-- thirty fields it would cost several times as much.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines now, saved, get, add, close_pool and DIMENSIONS

local DIMENSIONS = {'requests', 'input', 'output'}
local FORWARD_MS = 5000  -- how long a clock that went back is waited for; after that it is believed

local packed = redis.call('GET', state)
local saved = packed and cmsgpack.unpack(packed) or {}

local function get(name, default) return saved[name] or default end

local function add(name, by) saved[name] = (saved[name] or 0) + by end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000  -- ms
if saved.at and now < saved.at and saved.at - now < FORWARD_MS then now = saved.at end

local function close_pool() redis.call('SET', state, cmsgpack.pack(saved), 'PX', DAY_MS) end
