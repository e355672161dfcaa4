"""The text on top of `/docs`: enough to submit, wait, follow, cancel and be told, and what to do about each error."""

from api.problems import KINDS

_GUIDE = """\
Submit a job for an agent, and come back for its result, follow it as it happens, or be told when it has ended.

All is JSON, times are RFC 3339 in UTC, money is decimal strings in US dollars. Fields and parameters that do not exist
are refused, so that a slip of the pen does not go unnoticed.

## In six steps

Every request under `/v1` carries `Authorization: Bearer KEY`. Where no keys are configured, leave it out.

**1. Submit.** 202 means that the job is written down and cannot be lost. `Idempotency-Key` makes it safe to send it
again.

```bash
curl -i $URL/v1/jobs -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
     -H 'Idempotency-Key: order-17' -d '{"agent": "assistant", "input": "What is a job queue?"}'
```

**2. Wait.** Ask with `wait`, and with the `ETag` of the last answer: it comes at the next change, 304 if there is
none in that time. A job has ended when its `status` is `succeeded`, `incomplete`, `failed`, `cancelled` or `expired`;
one that is `requires_action` goes on when a person has decided (step 6).
A short job can be waited for in the submit itself: `Prefer: wait=30` answers 200 when it has ended in that time, and
202 when it has not, or waits for a person.

```bash
curl -i "$URL/v1/jobs/$JOB?wait=30" -H "Authorization: Bearer $KEY" -H 'If-None-Match: W/"1"'
```

**3. Or follow it.** Events come as they happen; after a break go on with `Last-Event-ID`.

```bash
curl -N $URL/v1/jobs/$JOB/events -H "Authorization: Bearer $KEY" -H 'Accept: text/event-stream'
```

**4. Cancel.** 200 when it has ended, 202 while its worker is being told. It can be said twice.

```bash
curl -X POST $URL/v1/jobs/$JOB/cancel -H "Authorization: Bearer $KEY"
```

**5. Or be told.** Make an endpoint once and keep its `secret`, which is shown only then; name it in jobs as
`"webhook": {"endpoint_id": "whe_…"}`. Check what comes with a library of
[Standard Webhooks](https://www.standardwebhooks.com), here in Python, over the bytes of the body as they came:

```bash
curl $URL/v1/webhook_endpoints -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
     -d '{"url": "https://example.com/hooks/sluice"}'
```

```python
from standardwebhooks import Webhook

event = Webhook("whsec_…").verify(body, headers)  # raises when it did not come from here, or is 5 minutes old
```

It can come more than once (remember `webhook-id`) and out of order (compare `revision`). What is sent is described
below, under *Webhooks*.

**6. Decide.** A job that is `requires_action` has a tool call that a person has to allow, or to look after: its
`required_actions` say which, as does the list of all your jobs' actions, and `decisions` what may be said to it.

```bash
curl "$URL/v1/actions?status=pending" -H "Authorization: Bearer $KEY"
curl $URL/v1/jobs/$JOB/actions/$ACTION -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
     -d '{"decision": "approve"}'
```

## Coming back

- `Retry-After` says in how many seconds: on a 202 and while a job has not ended, when it is worth to ask; on a 429
  and a 503, when to send the same again.
- A lost connection, a 408, a 500 or a 503 leaves open whether a submit counted. Send it again with the same
  `Idempotency-Key`: it makes one job, and the answer to a repeat has `Idempotency-Replayed: true`. A key is kept as
  long as its job, for 24 hours at least.
- Lists go on with `after` = `last_id` while `has_more` is true.

## Errors

Every error is `application/problem+json` (RFC 9457). Decide by `code`; `detail` says what happened and what to do,
`errors` where. With `retryable: true` the same request may succeed later; the others want to be changed.

| status | code | what it means | what to do |
|---|---|---|---|
"""


def guide() -> str:
    rows = sorted((kind.status, code, kind) for code, kind in KINDS.items())
    return _GUIDE + "\n".join(f"| {status} | `{code}` | {kind.title} | {kind.cure} |" for status, code, kind in rows)


TAGS = [
    {"name": "jobs", "description": "Submit work, wait for it, follow it, cancel it, delete it."},
    {"name": "actions", "description": "What waits for a person: may this call run, and has that one happened?"},
    {"name": "sessions", "description": "What the jobs of a conversation know of each other."},
    {"name": "agents", "description": "What can be asked for."},
    {
        "name": "webhooks",
        "description": "Be told instead of asking: receivers and their secrets, and what became of each delivery.",
    },
    {"name": "operations", "description": "How the service stands, for those who run it and those who wonder."},
    {"name": "limits", "description": "What the gate knows of the model providers' limits."},
]
