-- gate_breaker: whether calls may start at all. After several failures of the provider nobody calls (open); then one
-- call of the whole fleet tries (half), and as soon as it is answered the others follow slowly: a window of calls in
-- flight that grows by one with each that is answered, so that a provider that has just come back is not hit by all at
-- once.
-- What becomes of calls that began before it opened says nothing of what came after.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines breaker, a table of functions

local breaker = {}
local FAILURES = 5            -- that open it; a success takes half a failure back
-- Each time that an outage has lasted by so much of itself longer, somebody tries, but not more often or more seldom.
local LONGER, FIRST_MS, LONGEST_MS = 1 / 80, 100, 60000
local SLOW_START = 8

function breaker.window() return math.min(limits_of.in_flight, get('window', limits_of.in_flight)) end

function breaker.starts_slowly() return breaker.window() < limits_of.in_flight end

-- How many ms nobody may start, 0 when calls may; nil while the one call that tries is under way.
function breaker.held_up()
  local wait = math.max(0, get('away_until', 0) - now)
  if saved.breaker == 'open' then
    wait = math.max(wait, get('open_until', 0) - now)
    if wait <= 0 then
      saved.breaker = 'half'
      saved.canary = ''
    end
  end
  local tries = wait <= 0 and saved.breaker == 'half' and saved.canary ~= ''
  if tries and redis.call('HEXISTS', calls, saved.canary) == 1 then return nil end
  return math.max(0, wait)
end

function breaker.trip(jitter)
  if saved.breaker == 'open' then return end
  saved.breaker = 'open'
  saved.out_since = saved.out_since or now
  local pause = math.max(FIRST_MS, math.min(LONGEST_MS, LONGER * (now - saved.out_since)))
  saved.open_until = now + pause * (0.75 + 0.5 * jitter)  -- spreads fleets that share a provider
  saved.failures = 0
end

-- The one that tries is being answered.
local function came_back(id)
  if saved.breaker ~= 'half' or saved.canary ~= id then return end
  saved.breaker, saved.out_since = 'closed', nil
  saved.closed_at, saved.window = now, SLOW_START
  add('recoveries', 1)
end

function breaker.began_after(call) return saved.breaker ~= 'open' and call.starts >= get('closed_at', 0) end

-- A call is being answered: that may be said when it begins, and again when it ends.
function breaker.answers(id, call)
  came_back(id)
  if call.answers or saved.breaker == 'half' or not breaker.began_after(call) then return end
  call.answers = true
  if breaker.starts_slowly() then add('window', 1) end
end

function breaker.went_well(id, call)
  breaker.answers(id, call)
  if saved.breaker == 'half' or not breaker.began_after(call) then return end
  saved.failures = math.max(0, get('failures', 0) - 0.5)
end

function breaker.went_wrong(id, call, jitter)
  add('failures_seen', 1)
  if saved.breaker == 'half' then
    if saved.canary == id then breaker.trip(jitter) end
  elseif breaker.began_after(call) then
    add('failures', 1)
    if saved.failures >= FAILURES then breaker.trip(jitter) end
  end
end

-- A pause for all, after which they follow as slowly as after an outage.
function breaker.stay_away(ms)
  saved.away_until = math.max(get('away_until', 0), now + ms)
  saved.window = math.min(breaker.window(), SLOW_START)
end
