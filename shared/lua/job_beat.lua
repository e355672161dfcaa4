-- job_beat: a worker that holds jobs lives.
-- USES job_common job_fairness job_pace job_ending job_leases
-- KEYS
-- ARGV owner slots lease_ms retention_ms
-- RETURNS 1

sign_of_life(owner, slots, lease_ms)
sweep(owner, retention_ms)
return 1
