"""The receiver that a request names: taken, or refused with what is wrong about it."""

from api.problems import Code, FieldError, Problem, invalid
from api.webhook_schemas import WebhookRequest
from shared.endpoints import Endpoints
from shared.errors import UrlNotAllowed
from shared.receiver import Receiver, UrlPolicy, receiver
from shared.webhook import JOB_URLS, USUAL_EVENTS, Webhook


class Receivers:
    def __init__(self, endpoints: Endpoints, policy: UrlPolicy) -> None:
        self._endpoints = endpoints
        self._policy = policy

    async def of_job(self, request: WebhookRequest | None, *, tenant: str) -> Webhook | None:
        """Raises Problem 422 for a URL that nothing is sent to, and for an endpoint that this tenant has not. One that
        is disabled is taken: what it misses can be replayed."""
        if request is None:
            return None
        events = tuple(dict.fromkeys(str(one) for one in request.events or USUAL_EVENTS))
        if request.url is not None:
            return Webhook(JOB_URLS, self.check(request.url, "#/webhook/url").host, request.url, events)
        endpoint = await self._endpoints.find(tenant, str(request.endpoint_id))
        if endpoint is None:
            raise invalid(FieldError(pointer="#/webhook/endpoint_id", detail="there is no such endpoint"))
        return Webhook(endpoint.id, self.check(endpoint.url, "#/webhook/endpoint_id").host, events=events)

    def check(self, url: str, pointer: str) -> Receiver:
        """The parts of a URL that webhooks may be sent to. Raises Problem 422."""
        try:
            return receiver(url, self._policy)
        except UrlNotAllowed as error:
            raise Problem(
                Code.URL_NOT_ALLOWED,
                f"Webhooks are not sent there: the URL {error}.",
                errors=[FieldError(pointer=pointer, detail=str(error))],
            ) from error
