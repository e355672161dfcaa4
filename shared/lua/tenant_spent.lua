-- tenant_spent: what a tenant's jobs have cost today (UTC).
-- USES job_common job_allowance
-- KEYS
-- ARGV tenant
-- RETURNS nano-dollars, as text

return string.format('%.0f', spent_today(tenant))
