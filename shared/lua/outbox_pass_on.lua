-- outbox_pass_on: a courier that was called cannot come: another one is called if there is something to do.
-- USES job_common job_outbox
-- KEYS
-- ARGV
-- RETURNS nothing

if redis.call('ZCOUNT', OUTBOX, '-inf', now) > 0 then call_a_courier() end
