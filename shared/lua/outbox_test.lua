-- outbox_test: a delivery that only tries an endpoint out.
-- USES job_common job_outbox
-- KEYS
-- ARGV id tenant type about
--   about   JSON with the endpoint's id and its host
-- RETURNS 1, or 0 for an endpoint there is not

local wanted = cjson.decode(about)
if redis.call('EXISTS', ENDPOINT .. tenant .. ':' .. wanted.endpoint_id) == 0 then return 0 end
file(id, tenant, type, about, wanted)
return 1
