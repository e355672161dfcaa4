"""The bodies of `POST /v1/jobs:batch`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.problems import ProblemDocument
from api.schemas import JobRequest, JobResource

MOST_JOBS = 1000
_WORK: dict[str, Any] = {"agent": "assistant", "input": "What is a job queue?"}


class BatchJobRequest(JobRequest):
    """A job as in POST /v1/jobs, with a key of its own."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WORK | {"idempotency_key": "order-17"}]})

    idempotency_key: Annotated[
        str | None,
        Field(
            description="What the header Idempotency-Key is to a single submit, and of one kind with it.", strict=True
        ),
    ] = None


class Envelope(BaseModel):
    """A batch whose jobs have not been looked at."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    jobs: Annotated[list[Any], Field(min_length=1, max_length=MOST_JOBS)]
    all_or_nothing: bool = False


class BatchRequest(BaseModel):
    """Up to 1,000 jobs."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"jobs": [_WORK | {"idempotency_key": "order-17"}, _WORK | {"priority": "low"}]},
                {"jobs": [_WORK, _WORK], "all_or_nothing": True},
            ]
        },
    )

    jobs: Annotated[list[BatchJobRequest], Field(min_length=1, max_length=MOST_JOBS)]
    all_or_nothing: Annotated[
        bool, Field(description="Take all of them at the same moment, or refuse the whole request and take none.")
    ] = False


class BatchResult(BaseModel):
    """What became of one job: what a POST of its own would have been answered."""

    status: int = Field(description="202 for a job that was taken, else the error's.", examples=[202])
    job: JobResource | None
    error: ProblemDocument | None
    idempotency_replayed: bool = Field(description="Its key had made this job before.")


class BatchResource(BaseModel):
    """One result for each job, in the order of the request."""

    object: Literal["batch"]
    accepted: int = Field(description="How many were taken, repeats included.")
    refused: int
    data: list[BatchResult]


def answer_examples() -> dict[str, Any]:
    """What `/docs` shows beside the schema, with the jobs cut down to what matters here."""
    taken = {"status": 202, "job": {"id": "job_019a…", "status": "queued"}, "error": None}
    full = {"status": 429, "code": "queue_full", "detail": "10000 jobs are waiting already; try again in 12 seconds."}
    wrong = {
        "status": 422,
        "code": "invalid_request",
        "errors": [{"pointer": "#/jobs/1/agent", "detail": "field required"}],
    }
    replayed = {"idempotency_replayed": True}
    new = {"idempotency_replayed": False}

    def refused(error: dict[str, Any]) -> dict[str, Any]:
        return {"status": error["status"], "job": None, "error": error} | new

    def batch(*data: dict[str, Any]) -> dict[str, Any]:
        accepted = sum(one["job"] is not None for one in data)
        return {"object": "batch", "accepted": accepted, "refused": len(data) - accepted, "data": list(data)}

    return {
        "all taken": {"value": batch(taken | new, taken | replayed)},
        "one is wrong": {"value": batch(taken | new, refused(wrong))},
        "the queue filled up": {"value": batch(taken | new, refused(full))},
    }
