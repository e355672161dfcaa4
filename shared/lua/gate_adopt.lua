-- gate_adopt: a call that has passed by its worker's own budget while Redis was away comes into the books, as one in
-- flight, wherever it stood in line; it ends like any other. Safe to repeat, also after its end.
-- LIBRARY gate
-- USES gate_pool gate_usage gate_buckets gate_breaker gate_line gate_granting
-- KEYS state high standard low waiting tenants calls tags holders adopted
-- ARGV worker id call age_ms limits
--   call     JSON {tenant, weight, class: 1 to 3, agent, turn, characters, input, output, most: output at most}
--   age_ms   how long ago it began
-- RETURNS see gate_granting
local REFILLED_MS = BURST * 60000  -- what was spent longer ago has flowed in again: nobody else could spend it
local REMEMBERED_MS = 600000

-- It has cost nobody's turn in line; at its end its tenant pays for it.
local function adopt(entry, age)
  entry.worker, entry.requests, entry.cost = worker, 1, 0
  entry.turn = math.min(entry.turn, 4)
  entry.place = get('place_' .. entry.class, 0)
  entry.starts = now - age
  meter.take(entry)
  if age > REFILLED_MS then
    buckets.requests.level = buckets.requests.level + 1
    buckets.input.level = buckets.input.level + entry.input
  end
  local said = math.min(entry.output, entry.speed * age)
  entry.drawn_ms = entry.drawn_ms - said / entry.speed
  add('to_come', -said)
  buckets.output.taken = buckets.output.taken + said
  buckets.output.level = buckets.output.level - math.min(said, entry.speed * REFILLED_MS)
  usage.drawn(said)
  grants.put(id, entry)
end

meter.flow()
grants.sign_of_life()
if redis.call('SET', adopted, '1', 'NX', 'PX', REMEMBERED_MS) then
  local waits, flies = redis.call('HGET', waiting, id), redis.call('HGET', calls, id)
  if waits then line.leave(id, cmsgpack.unpack(waits)) end
  if not flies then adopt(cjson.decode(call), tonumber(age_ms)) end  -- else it was granted meanwhile: that is it
end
return grants.conclude(worker)
