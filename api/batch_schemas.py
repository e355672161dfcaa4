"""The bodies of `POST /v1/jobs:batch`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.problems import ProblemDocument
from api.schemas import KEY_PATTERN, JobRequest, JobResource

MOST_JOBS = 1000


class BatchJobRequest(JobRequest):
    """A job as in POST /v1/jobs, with a key of its own."""

    idempotency_key: Annotated[
        str | None,
        Field(
            description="What the header Idempotency-Key is to a single submit, and of one kind with it.",
            strict=True,
            json_schema_extra={"pattern": KEY_PATTERN},
        ),
    ] = None


class Envelope(BaseModel):
    """A batch whose jobs have not been looked at."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    jobs: Annotated[list[Any], Field(min_length=1, max_length=MOST_JOBS)]
    all_or_nothing: bool = False


class BatchRequest(BaseModel):
    """Up to 1,000 jobs."""

    model_config = ConfigDict(extra="forbid")

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
