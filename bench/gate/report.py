"""The gate's section of RESULTS.md."""

from collections.abc import Sequence

from bench import run_text
from bench.gate import contenders, targets
from bench.gate.order import LARGE_INPUT_TOKENS
from bench.gate.scenarios import SCENARIOS
from bench.gate.tables import TABLES
from bench.rows import Row, Run

SECTION = "gate"

_HOW = (
    "Eight worker processes call the simulated provider over HTTP, all with one key, through "
    "`worker.provider_anthropic` and the real SDK. The provider has exact, continuous buckets. A run lasts "
    f"{SCENARIOS[0].seconds:.0f} s; the first {SCENARIOS[0].warm_seconds:.0f} are not counted, but for 429s and calls "
    "given up.",
    "Budget used: what we used of the dimension that binds, of what we could have used. That is what the limits "
    "refilled and what stock was drawn upon, without the share of somebody else; 100 % means that no bucket was ever "
    "full, nothing was left to pile up, and no 429 cost anything.",
    "A wait is from a caller's wish to the start of the attempt that was answered. Those who still waited at the end "
    "count with their wait so far, and those who gave up with theirs. Large calls have "
    f"{LARGE_INPUT_TOKENS:,} input tokens or more.",
    "Redis requests are what clients send, where a script or a pipeline is one. CPU is that of provider, workers and "
    "Redis together, and 100 is the whole machine.",
    "A share of a tenant is the largest of its shares of the three limits; the Jain index is over the tenants that "
    "want more than there is.",
)


def render(run: Run, rows: Sequence[Row]) -> str:
    """Markdown."""
    parts = [
        "## The gate, beside others",
        run_text.head(run),
        "\n".join(f"- {sentence}" for sentence in _HOW),
        "" if run.small else targets.render(rows),
        *(table.render(rows, contenders.BY_NAME) for table in TABLES),
        _contenders(rows),
        run_text.versions(run),
    ]
    return "\n\n".join(part for part in parts if part)


def _contenders(rows: Sequence[Row]) -> str:
    seen = {row.contender for row in rows}
    lines = [f"- **{one.name}**: {one.settings['default']}. {one.note}" for one in contenders.ALL if one.name in seen]
    return "\n".join(["### The contenders", "", *lines])
