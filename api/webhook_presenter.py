"""How endpoints and deliveries look from outside. A secret is in no answer but the two that say so."""

from typing import Any

from api.webhook_schemas import AttemptResource, DeliveryResource, EndpointResource
from shared.clock import rfc3339
from shared.deliveries import Logged
from shared.delivery import Try
from shared.endpoint import Endpoint


def endpoint_fields(endpoint: Endpoint) -> dict[str, Any]:
    disabled = endpoint.disabled_ms is not None
    return {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "url": endpoint.url or None,
        "description": endpoint.description,
        "created_at": rfc3339(endpoint.created_ms),
        "status": "disabled" if disabled else "enabled",
        "disabled_at": rfc3339(endpoint.disabled_ms),
        "disabled_reason": "gone" if disabled else None,
    }


def endpoint_resource(endpoint: Endpoint) -> EndpointResource:
    return EndpointResource(**endpoint_fields(endpoint))


def delivery_resource(logged: Logged) -> DeliveryResource:
    delivery = logged.delivery
    return DeliveryResource(
        id=delivery.id,
        object="webhook_delivery",
        type=delivery.type,
        job_id=delivery.event.job_id if delivery.event else None,
        endpoint_id=None if delivery.url else delivery.endpoint_id,
        url=delivery.url or None,
        created_at=rfc3339(delivery.at_ms) or "",
        status=delivery.state,
        reason=delivery.reason,
        next_attempt_at=rfc3339(delivery.next_ms),
        attempts=[_attempt(one) for one in logged.tries],
    )


def _attempt(made: Try) -> AttemptResource:
    return AttemptResource(
        at=rfc3339(made.at_ms) or "",
        status=made.status,
        error=made.error,
        latency_ms=made.latency_ms,
        answer=made.answer,
    )
