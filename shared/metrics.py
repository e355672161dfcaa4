"""Every metric there is, for Prometheus: the api serves INGRESS, each worker WORK; both serve their process's own.
Those of the gate's pools are in `shared.gate_metrics`.
"""

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from shared.gate_metrics import GateCollector

__all__ = ["CONTENT_TYPE_LATEST", "generate_latest"]

INGRESS = CollectorRegistry()
WORK = CollectorRegistry()
for _registry in (INGRESS, WORK):
    ProcessCollector(registry=_registry)
    PlatformCollector(registry=_registry)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

HTTP_SECONDS = Histogram(
    "sluice_http_request_duration_seconds",
    "Time to answer a request.",
    ["method", "route", "status"],
    buckets=_SECONDS,
    registry=INGRESS,
)
SUBMITS = Counter(
    "sluice_submits_total", "Jobs submitted, by what became of the submit.", ["agent", "outcome"], registry=INGRESS
)
EVENT_STREAMS = Gauge("sluice_event_streams", "Event streams this process has open.", registry=INGRESS)
QUEUE_WAITING = Gauge(
    "sluice_queue_waiting_jobs", "Jobs that wait for a worker, for the whole service.", registry=INGRESS
)
QUEUE_RUNNING = Gauge("sluice_queue_running_jobs", "Jobs that a worker holds, for the whole service.", registry=INGRESS)
QUEUE_SLOTS = Gauge("sluice_queue_slots", "Jobs that the living workers can run at once.", registry=INGRESS)
QUEUE_DRAIN = Gauge(
    "sluice_queue_drain_rate", "Jobs that the living workers can end per second, by those that ended.", registry=INGRESS
)
GATE = GateCollector()
INGRESS.register(GATE)

FALLBACK_READY = Gauge(
    "sluice_chain_fallback_ready", "Whether a chain's second target could stand in now.", ["chain"], registry=INGRESS
)

IN_FLIGHT = Gauge("sluice_worker_jobs_in_flight", "Jobs this worker runs now.", registry=WORK)
SLOTS = Gauge("sluice_worker_slots", "Jobs this worker may run at once.", registry=WORK)
FINISHED = Counter("sluice_jobs_finished_total", "Jobs this worker ended.", ["agent", "status"], registry=WORK)
RELEASED = Counter(
    "sluice_jobs_released_total", "Jobs this worker gave back to the queue.", ["agent", "reason"], registry=WORK
)
LEASES_LOST = Counter("sluice_leases_lost_total", "Jobs that another worker took over.", registry=WORK)
GATE_SECONDS = Histogram(
    "sluice_gate_wait_seconds", "Time a model call waited at the gate.", ["pool"], buckets=_SECONDS, registry=WORK
)
CALL_SECONDS = Histogram(
    "sluice_model_call_seconds",
    "Time a model call took, gate excluded.",
    ["target", "outcome"],
    buckets=_SECONDS,
    registry=WORK,
)
CHAIN_CALLS = Counter(
    "sluice_chain_calls_total",
    "Calls that a chain asked of a target, as first, fallback or drill, by what became of them; no_room is the gate's.",
    ["chain", "target", "served_as", "outcome"],
    registry=WORK,
)
CHAIN_SECONDS = Histogram(
    "sluice_chain_call_seconds",
    "Time a call that succeeded took, gate excluded.",
    ["chain", "target", "served_as"],
    buckets=_SECONDS,
    registry=WORK,
)
CHAIN_COST = Counter(
    "sluice_chain_cost_usd_total", "Money spent by a chain.", ["chain", "target", "served_as"], registry=WORK
)
CHAIN_TOOL_CALLS = Counter(
    "sluice_chain_tool_calls_total",
    "Tool calls that a chain's models asked for, by whether tool and arguments were valid.",
    ["chain", "target", "outcome"],
    registry=WORK,
)
TOKENS = Counter(
    "sluice_tokens_total", "Tokens bought, by kind as the provider reports them.", ["target", "kind"], registry=WORK
)
COST = Counter("sluice_cost_usd_total", "Money spent on model calls.", ["target", "agent"], registry=WORK)
TOOL_SECONDS = Histogram(
    "sluice_tool_seconds", "Time a tool call took.", ["tool", "outcome"], buckets=_SECONDS, registry=WORK
)
WEBHOOK_SECONDS = Histogram(
    "sluice_webhook_attempt_seconds",
    "Time an attempt to deliver a webhook took, by what became of the delivery: delivered, pending or failed.",
    ["outcome"],
    buckets=_SECONDS,
    registry=WORK,
)
WEBHOOKS_FAILED = Counter(
    "sluice_webhooks_failed_total", "Webhooks that are not tried any more, by why.", ["reason"], registry=WORK
)
WEBHOOK_OLDEST_DUE = Gauge(
    "sluice_webhook_oldest_due_seconds",
    "For how long the oldest webhook of the whole service has been due, as this worker saw it last; 0 when none is.",
    registry=WORK,
)
WEBHOOKS_IN_FLIGHT = Gauge("sluice_webhooks_in_flight", "Webhooks that this worker is sending now.", registry=WORK)
