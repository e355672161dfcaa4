"""What requests and answers look like, for `/docs`. A test holds each against the schema beside which it is shown.

They are kept under `components` of the OpenAPI document by these names: FastAPI leaves what is null out of those that
it is given itself.
"""

from typing import Any

from api.examples import actions, batches, jobs, operations, sessions, steering, webhooks
from api.examples.problems import problem_example
from api.problems import Code

EXAMPLES: dict[str, Any] = {
    "the_least": jobs.LEAST,
    "most_of_it": jobs.MOST,
    "queued_job": jobs.QUEUED_JOB,
    "finished_job": jobs.FINISHED_JOB,
    "cancelling_job": jobs.CANCELLING_JOB,
    "cancelled_job": jobs.CANCELLED_JOB,
    "job_list": jobs.JOB_LIST,
    "event_list": jobs.EVENT_LIST,
    "turn_list": jobs.TURN_LIST,
    "say": steering.SAY,
    "message": steering.MESSAGE,
    "fork": steering.FORK,
    "with_more_money": steering.RETRY_WITH_MORE,
    "forked_job": steering.FORKED_JOB,
    "session": sessions.SESSION,
    "action_list": actions.ACTION_LIST,
    "approve": actions.APPROVE,
    "edit": actions.EDIT,
    "done": actions.DONE,
    "not_done": actions.NOT_DONE,
    "approved": actions.APPROVED,
    "edited": actions.EDITED,
    "each_by_itself": batches.EACH_BY_ITSELF,
    "all_or_nothing": batches.ALL_OR_NOTHING,
    "all_taken": batches.ALL_TAKEN,
    "one_is_wrong": batches.ONE_IS_WRONG,
    "the_queue_filled_up": batches.THE_QUEUE_FILLED_UP,
    "agent_list": operations.AGENT_LIST,
    "queue": operations.QUEUE,
    "worker_list": operations.WORKER_LIST,
    "limit_list": operations.LIMIT_LIST,
    "alive": operations.ALIVE,
    "ready": operations.READY,
    "not_ready": operations.NOT_READY,
    "new_endpoint_request": webhooks.NEW_ENDPOINT_REQUEST,
    "new_endpoint": webhooks.NEW_ENDPOINT,
    "endpoint": webhooks.ENDPOINT,
    "endpoint_list": webhooks.ENDPOINT_LIST,
    "rotation": webhooks.ROTATION,
    "delivered": webhooks.DELIVERED,
    "pending_delivery": webhooks.PENDING,
    "test_delivery": webhooks.TEST_DELIVERY,
    "delivery_list": webhooks.DELIVERY_LIST,
} | {code.value: problem_example(code)[1] for code in Code}
