"""Batches, and what became of their jobs."""

from typing import Any

from api.examples.jobs import QUEUED_JOB
from api.examples.problems import problem_example
from api.problems import Code

_WORK: dict[str, Any] = {"agent": "assistant", "input": "What is a job queue?"}
EACH_BY_ITSELF = {"jobs": [_WORK | {"idempotency_key": "order-17"}, _WORK | {"priority": "low"}]}
ALL_OR_NOTHING = {"jobs": [_WORK, _WORK], "all_or_nothing": True}


def _refused(error: dict[str, Any]) -> dict[str, Any]:
    return {"status": error["status"], "job": None, "error": error, "idempotency_replayed": False}


def _batch(*data: dict[str, Any]) -> dict[str, Any]:
    accepted = sum(one["job"] is not None for one in data)
    return {"object": "batch", "accepted": accepted, "refused": len(data) - accepted, "data": list(data)}


_TAKEN: dict[str, Any] = {"status": 202, "job": QUEUED_JOB, "error": None, "idempotency_replayed": False}
_, _FULL = problem_example(Code.QUEUE_FULL)
_, _WRONG = problem_example(Code.INVALID_REQUEST)
_WRONG |= {"errors": [{"pointer": "#/jobs/1/agent", "detail": "field required"}]}

ALL_TAKEN = _batch(_TAKEN, _TAKEN | {"idempotency_replayed": True})
ONE_IS_WRONG = _batch(_TAKEN, _refused(_WRONG))
THE_QUEUE_FILLED_UP = _batch(_TAKEN, _refused(_FULL))
