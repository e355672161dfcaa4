-- gate_breaker: whether calls may start at all. After several failures of the provider nobody calls (open); then one
-- call of the whole fleet tries (half), and when it succeeds the others follow slowly: a window of calls in flight that
-- grows by one with each success, so that a provider that has just come back is not hit by all at once.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines window, held_up, trip, went_well, went_wrong, stay_away

local FAILURES = 5            -- that open it; a success takes half a failure back
local FIRST_MS, LONGEST_MS = 1000, 60000
local SLOW_START = 4

local function window() return math.min(limits_of.in_flight, get('window', limits_of.in_flight)) end

-- How many ms nobody may start, 0 when calls may; nil while the one call that tries is under way.
local function held_up()
  local wait = math.max(0, get('away_until', 0) - now)
  if saved.breaker == 'open' then
    wait = math.max(wait, get('open_until', 0) - now)
    if wait <= 0 then
      saved.breaker = 'half'
      saved.canary = ''
    end
  end
  if wait <= 0 and saved.breaker == 'half' and saved.canary ~= '' and redis.call('HEXISTS', calls, saved.canary) == 1 then
    return nil
  end
  return math.max(0, wait)
end

-- Opens it, each time in a row for twice as long.
local function trip(jitter)
  saved.breaker = 'open'
  saved.open_ms = math.min(LONGEST_MS, math.max(FIRST_MS, 2 * get('open_ms', 0)))
  saved.open_until = now + saved.open_ms * (0.75 + 0.5 * jitter)  -- spreads fleets that share a provider
  saved.failures = 0
end

local function went_well()
  if saved.breaker == 'half' then
    saved.breaker = 'closed'
    saved.open_ms = 0
    saved.window = SLOW_START
  elseif get('window', limits_of.in_flight) < limits_of.in_flight then
    add('window', 1)
  end
  if get('failures', 0) > 0 then saved.failures = math.max(0, get('failures', 0) - 0.5) end
end

local function went_wrong(jitter)
  add('failures_seen', 1)
  if saved.breaker == 'open' then return end  -- of calls that were under way before
  add('failures', 1)
  if saved.breaker == 'half' or get('failures', 0) >= FAILURES then trip(jitter) end
end

local function stay_away(ms) saved.away_until = math.max(get('away_until', 0), now + ms) end
