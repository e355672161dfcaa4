"""The tables of the queue's section: which figures stand beside each other, and what is said of them."""

from collections.abc import Sequence

from bench.figures import Spread
from bench.rows import Row
from bench.table import Column, Table, figures, number


def _recovered(rows: Sequence[Row]) -> str:
    """What did not come within the cap was waited for only once."""
    values = figures(rows, "recovered_s")
    late = [row for row in rows if row.figures["recovered_s"] is None]
    shown = [Spread.of(values).shown(1)] if values else []
    return ", ".join([*shown, *sorted({f"> {row.figures['cap_s']:.0f}" for row in late})])


def _at_sigterm(rows: Sequence[Row]) -> str:
    return "; ".join(sorted({_word(row) for row in rows}))


def _word(row: Row) -> str:
    again, ended, cap = (row.figures[name] for name in ("again_s", "ended_s", "cap_s"))
    if isinstance(again, float):
        after = "under a second" if again < 1 else f"{again:.0f} s"
        return f"cut, runs again after {after}"
    if isinstance(ended, float):
        return "runs to its end"
    if row.figures["worker_left"]:
        return f"cut, not run again within {cap:.0f} s"
    return f"still runs after {cap:.0f} s"


def _try(rows: Sequence[Row]) -> str:
    tries = {int(value) for value in figures(rows, "tries")}
    return ", ".join(map(str, sorted(tries))) if tries - {0} else "not told"


def _word_of(figure: str, rows: Sequence[Row]) -> str:
    return ", ".join(sorted({str(row.figures[figure]) for row in rows}))


TABLES = (
    Table(
        "Latency and cost of an idle worker",
        (
            Column("p50 ms", number("p50_ms", 1), "idle"),
            Column("p99 ms", number("p99_ms", 1), "idle"),
            Column("Redis requests/s", number("requests_per_s", 1), "idle"),
            Column("Redis commands/s", number("commands_per_s", 1), "idle"),
            Column("worker CPU %", number("worker_cpu_percent", 2), "idle"),
            Column("Redis CPU %", number("redis_cpu_percent", 2), "idle"),
            Column("connections", number("connections", 0), "idle"),
        ),
        "From just before a submit to the first line of the job, on one worker that waits. 50 jobs in each repeat, so "
        "p99 is the slowest of them.",
    ),
    Table(
        "The whole way, from POST to the provider",
        (
            Column("p50 ms", number("p50_ms", 1), "http_latency"),
            Column("p99 ms", number("p99_ms", 1), "http_latency"),
        ),
        "From the request to the moment the simulated provider receives the model call; one connection, kept open.",
    ),
    Table(
        "Submits over HTTP, one process, 32 connections",
        (
            Column("POST /v1/jobs /s", number("rate", 0), "ingress"),
            Column("p99 ms", number("p99_ms", 1), "ingress"),
            Column("CPU µs each", number("cpu_us", 0), "ingress"),
            Column("a bare route with one EVALSHA /s", number("evalsha_rate", 0), "ingress"),
            Column("p99 ms", number("evalsha_p99_ms", 1), "ingress"),
            Column("CPU µs each", number("evalsha_cpu_us", 0), "ingress"),
            Column("one with arq's enqueue_job /s", number("arq_rate", 0), "ingress"),
            Column("CPU µs each", number("arq_cpu_us", 0), "ingress"),
            Column("one that answers a constant /s", number("constant_rate", 0), "ingress"),
        ),
        "FastAPI on the same server and the same store with an append-only file, one after the other in one run: "
        "`ingress/baseline.py`. Each request brings a bearer key and an Idempotency-Key of its own. The bare routes "
        "check two fields and write two keys; ours does all that the contract says.",
    ),
    Table(
        "Draining no-op jobs, one worker process",
        (
            Column("jobs/s", number("rate", 0), "drain"),
            Column("slots", number("slots", 0), "drain"),
            Column("worker CPU µs/job", number("worker_cpu_us", 0), "drain"),
            Column("Redis CPU µs/job", number("redis_cpu_us", 0), "drain"),
            Column("Redis requests/job", number("requests", 1), "drain"),
            Column("Redis commands/job", number("commands", 1), "drain"),
        ),
    ),
    Table(
        "Enqueueing, one process",
        (
            Column("one by one /s", number("rate", 0), "enqueue_single"),
            Column("client CPU µs/job", number("client_cpu_us", 0), "enqueue_single"),
            Column("Redis CPU µs/job", number("redis_cpu_us", 0), "enqueue_single"),
            Column("Redis requests/job", number("requests", 1), "enqueue_single"),
            Column("Redis commands/job", number("commands", 1), "enqueue_single"),
            Column("in bulk /s", number("rate", 0), "enqueue_bulk"),
            Column("in bulk means", lambda rows: _word_of("bulk", rows), "enqueue_bulk"),
        ),
    ),
    Table(
        "600 jobs of 5 s on 6 workers × 100 slots",
        (
            Column("wall s", number("wall_s", 2), "wall"),
            Column("all started after s", number("all_started_s", 2), "wall"),
            Column("at once, at most", number("peak", 0), "wall"),
            Column("half full: Redis requests/s", number("requests_per_s", 0), "wall"),
            Column("half full: Redis commands/s", number("commands_per_s", 0), "wall"),
            Column("half full: CPU %", number("cpu_percent", 1), "wall"),
        ),
        "Half full is before that, with 300 of the 600 slots taken by jobs that only wait; CPU is that of all workers "
        "and Redis together, and 100 is one core.",
    ),
    Table(
        "When a worker is lost",
        (
            Column("seconds from a SIGKILL to the second start", _recovered, "crash"),
            Column("… from a freeze", _recovered, "freeze"),
        ),
        "One of two workers is lost two seconds into a job of 30 s; the time limit of a job is an hour, and other jobs "
        "come every few seconds. After a SIGKILL the system closes the worker's connections, which some notice; a "
        "frozen one keeps them open, as a lost machine or network does. What did not come within the time shown was "
        "not waited for again.",
    ),
    Table(
        "A healthy job of 30 s under the quick settings",
        (
            Column("starts", number("starts", 0), "live_long"),
            Column("ends", number("ends", 0), "live_long"),
        ),
        "Nobody dies; one start is right.",
    ),
    Table(
        "A SIGTERM in mid-job",
        (
            Column("the job", _at_sigterm, "sigterm"),
            Column("try at its last start", _try, "sigterm"),
        ),
        "Two workers, a job of 20 s, and two seconds into it a SIGTERM to the worker that has it. A try of 2 means "
        "that the deploy has used one up.",
    ),
    Table(
        "Redis memory of a waiting job with an input of 1 KB",
        (Column("KB per job", number("redis_kb", 2), "waiting"),),
    ),
    Table(
        "A worker process with 1,000 jobs in flight",
        (
            Column("jobs in flight", number("jobs", 0), "in_flight"),
            Column("slots", number("slots", 0), "in_flight"),
            Column("RSS MB then", number("rss_mb", 0), "in_flight"),
            Column("PSS MB", number("pss_mb", 0), "in_flight"),
            Column("RSS MB before", number("idle_rss_mb", 0), "in_flight"),
            Column("connections", number("connections", 0), "in_flight"),
        ),
    ),
)
