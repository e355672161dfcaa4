-- job_tell: what a worker tells of its work between two checkpoints, since somebody follows the job, if it is still this
-- worker's. Safe to repeat after a lost answer.
-- USES job_common job_outbox job_states job_telling
-- KEYS
-- ARGV id owner told followers
--   told        see job_telling
--   followers   the api processes where the job is followed, with spaces between them
-- RETURNS 1, or 0 when the job is not this worker's

if redis.call('HGET', LEASES, id) ~= owner then return 0 end
tell_all(read(id), told)
for follower in string.gmatch(followers, '%S+') do redis.call('PUBLISH', NEWS .. follower, id) end
return 1
