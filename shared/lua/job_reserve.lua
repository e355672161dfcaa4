-- job_reserve: sets money aside for the model calls of a job, as far as its tenant has some left today (UTC), if the job
-- is still this worker's. Nothing changes when there is not enough. Safe to repeat: it says what is set aside in all, not
-- what is added. What is set aside is given back by the checkpoint that settles a call, and by whatever takes the job from
-- its worker: its end, a release, the worker's death.
-- USES job_common job_outbox job_states job_allowance job_reserved
-- KEYS
-- ARGV id owner least wanted per_day
--   least, wanted   nano-dollars for all calls of the job in flight, this one included
--   per_day         what the tenant's jobs may cost a day
-- RETURNS {'reserved', nano-dollars, from least to wanted}
--      or {'taken', ms until the next day}    others' calls in flight have it, and may need less than that
--      or {'spent', ms until the next day}
--      or {'lost', 0}

if redis.call('HGET', LEASES, id) ~= owner then return {'lost', 0} end
local job = read(id)
local left = tonumber(per_day) - spent_today(job.tenant)
local free = left - reserved_of(job.tenant) + tonumber(job.reserved or 0)
if free < tonumber(least) then return {left < tonumber(least) and 'spent' or 'taken', DAY_MS - now % DAY_MS} end
set_aside(job, math.min(tonumber(wanted), free))
return {'reserved', job.reserved or 0}
