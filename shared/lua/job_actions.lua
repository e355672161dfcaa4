-- job_actions: what a job asks a person, and how it goes on.
-- KEYS
-- ARGV
-- RETURNS nothing: it defines close_action, go_on

-- An action has its answer: it is in the journal, told to followers, and out of the inbox. `answer` is its JSON, `record`
-- that of the journal.
local function close_action(job, action, decision, answer, record)
  local kept = job.key .. ACTIONS
  redis.call('HSET', kept, action .. ':decided', string.format('{"decided_ms":%.0f,', now) .. string.sub(answer, 2))
  redis.call('HDEL', kept, action .. ':lapsed')
  redis.call('ZREM', TENANT_ACTIONS .. job.tenant, action .. ' ' .. job.id)
  redis.call('RPUSH', job.key .. TURNS, record)
  local left = {}
  for other in string.gmatch(job.asks, '%S+') do
    if other ~= action then left[#left + 1] = other end
  end
  job.asks = table.concat(left, ' ')
  redis.call('HSET', job.key, 'asks', job.asks)
  tell(job, 'action.decided', now, '{"action_id":"' .. action .. '","decision":"' .. decision .. '"}')
end

-- All is answered: the job waits for a worker, at its old place.
local function go_on(job)
  waits_no_more(job)
  transition(job, 'decide')
  put_back(job)
end
