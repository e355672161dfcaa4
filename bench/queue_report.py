"""The queue's section of RESULTS.md."""

from collections.abc import Mapping, Sequence

from bench import run_text, target_table
from bench.contender import TIME_LIMIT_SECONDS, Contender
from bench.queue_tables import TABLES
from bench.rows import Row, Run

SECTION = "queue"

_NOT_COMPARABLE = (
    "Every contender is measured with its defaults and with the settings that its documentation advises for the case; "
    f"a job may run for {TIME_LIMIT_SECONDS} s everywhere. What is set besides the number of slots is in the tables.",
    "Redis commands are counted inside of scripts as well; requests are what clients send, and a script or a "
    "pipeline is one of these.",
    "Redis keeps nothing on disk here, for nobody.",
    "What mostly waits (idle workers, crashes, deploys, memory) is measured several at once; rates are measured alone.",
    "A p99 of so few samples is their slowest; one hiccup of the machine is enough for it.",
)


def render(run: Run, rows: Sequence[Row], contenders: Mapping[str, Contender]) -> str:
    """Markdown."""
    parts = [
        "## The queue, beside others",
        run_text.head(run),
        "" if run.small else target_table.render(rows, contenders),
        *(table.render(rows, contenders) for table in TABLES),
        _notes(rows, contenders),
        run_text.versions(run),
    ]
    return "\n\n".join(part for part in parts if part)


def _notes(rows: Sequence[Row], contenders: Mapping[str, Contender]) -> str:
    seen = {row.contender for row in rows}
    own = [f"- **{one.name}**: {one.note}" for one in contenders.values() if one.note and one.name in seen]
    general = [f"- {sentence}" for sentence in _NOT_COMPARABLE]
    return "\n".join(["### What is not comparable", "", *general, *own])
