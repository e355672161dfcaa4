-- job_queue_state: how the queue stands.
-- USES job_common job_pace
-- KEYS
-- ARGV
-- RETURNS {pace…}

return pace()
