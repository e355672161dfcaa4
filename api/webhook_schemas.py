"""The bodies about webhooks, as `/docs` shows them."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.delivery import DeliveryState, FailedBecause
from shared.receiver import LONGEST_URL

_EXAMPLE_URL = "https://example.com/hooks/sluice"
Url = Annotated[str, Field(min_length=1, max_length=LONGEST_URL, examples=[_EXAMPLE_URL])]
EndpointId = Annotated[
    str, Field(pattern=r"^whe_[0-9a-f-]{36}$", examples=["whe_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d"])
]
EventName = Literal[
    "job.started",
    "job.requires_action",
    "job.succeeded",
    "job.incomplete",
    "job.failed",
    "job.cancelled",
    "job.expired",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class WebhookRequest(_Strict):
    """Who is told of the job: a `url`, or an endpoint made before. `events` says of what; all but `job.started` when
    it is left out."""

    url: Url | None = None
    endpoint_id: EndpointId | None = None
    events: Annotated[list[EventName], Field(min_length=1, max_length=7)] | None = None

    @model_validator(mode="after")
    def _one_receiver(self) -> Self:
        if (self.url is None) == (self.endpoint_id is None):
            raise ValueError("give either url or endpoint_id")
        return self


class EndpointRequest(_Strict):
    """A receiver of webhooks."""

    url: Url
    description: Annotated[str, Field(max_length=256)] = ""


class EndpointResource(BaseModel):
    """A receiver of webhooks. `url` is null for `job_urls`, which holds the secret for URLs that jobs name themselves.
    While it is `disabled` nothing is sent to it; a test that it answers with 2xx enables it again."""

    id: str = Field(examples=["whe_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d", "job_urls"])
    object: Literal["webhook_endpoint"]
    url: str | None = Field(examples=[_EXAMPLE_URL])
    description: str
    created_at: str
    status: Literal["enabled", "disabled"]
    disabled_at: str | None
    disabled_reason: Literal["gone"] | None = Field(description="`gone`: it answered 410.")


class NewEndpointResource(EndpointResource):
    """With its secret, which is shown this once."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


class RotationResource(BaseModel):
    """A new secret, shown this once. Until `previous_secret_expires_at` the one before signs, too."""

    id: str
    object: Literal["webhook_endpoint"]
    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    previous_secret_expires_at: str | None


class EndpointList(BaseModel):
    object: Literal["list"]
    data: list[EndpointResource]


class AttemptResource(BaseModel):
    """`status` is what the receiver answered; `error` says why there is none, such as `timeout`, `connection_failed`,
    `tls_failed`, `name_not_found` or `address_not_allowed`. `answer` is the beginning of the body, when the operator
    keeps it."""

    at: str
    status: int | None
    error: str | None
    latency_ms: int
    answer: str | None


class DeliveryResource(BaseModel):
    """An event on its way to a receiver. `id` is the `webhook-id` of all its attempts."""

    id: str = Field(examples=["msg_019a9a60-8a6e-7c3e-a3c6-0f5f5a6f3b1d_5"])
    object: Literal["webhook_delivery"]
    type: str = Field(examples=["job.succeeded"])
    job_id: str | None = Field(description="null for a test.")
    endpoint_id: str | None = Field(description="null for a URL that the job named itself.")
    url: str | None
    created_at: str
    status: DeliveryState
    reason: FailedBecause | None = Field(description="Why it is not tried any more.")
    next_attempt_at: str | None
    attempts: list[AttemptResource]


class DeliveryList(BaseModel):
    object: Literal["list"]
    data: list[DeliveryResource]
    has_more: bool
    first_id: str | None
    last_id: str | None
