-- job_follow: tells the workers that hold these jobs that they are followed at an api process.
-- KEYS
-- ARGV follower ids
--   ids   with spaces between them
-- RETURNS how many of them a worker holds

local held = 0
for id in string.gmatch(ids, '%S+') do
  local owner = redis.call('HGET', LEASES, id)
  if owner then
    redis.call('PUBLISH', CONTROL .. owner, 'follow ' .. id .. ' ' .. follower)
    held = held + 1
  end
end
return held
