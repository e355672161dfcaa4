-- job_telling: what a worker tells of its work on a job, beside the changes of its status.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines tell_all

-- Keeps the events of `batches`: JSON [[ticket, [[type, age in ms, data as JSON, turn that begins or nothing], …]], …].
-- A batch that is there already (the answer to an earlier call was lost) is passed over. A turn that begins for the
-- second time, since its worker died or its provider broke off, is told as begun anew.
local function tell_all(job, batches)
  local told_before, begun = unpack(redis.call('HMGET', job.key, 'told', 'begun'))
  local told = told_before
  for _, batch in ipairs(cjson.decode(batches)) do
    local ticket, events = unpack(batch)
    for _, event in ipairs(ticket == told and {} or events) do
      local type, age_ms, data, turn = unpack(event)
      if turn and tostring(turn) == begun then type = 'turn.restarted' end
      begun = turn and tostring(turn) or begun
      tell(job, type, now - age_ms, data)
    end
    told = ticket
  end
  if told ~= told_before then
    redis.call('HSET', job.key, 'events', job.events or 1, 'told', told, 'begun', begun or '')
  end
end
