"""Where the journal of a job is cut, so that another one can begin with what is before it."""

from collections.abc import Sequence

from shared.job import STOPPED_SHORT
from shared.message import MessageRecord
from shared.turn import BrokenRecord, ModelRecord, Record


def turns_of(records: Sequence[Record]) -> int:
    return sum(isinstance(record, ModelRecord) for record in records)


def until_turn(records: Sequence[Record], turn: int) -> int:
    """How many records a fork after this turn begins with: its tool calls are among them, what was said to the job
    after it is not."""
    later = (i for i, one in enumerate(records) if isinstance(one, ModelRecord) and one.turn > turn)
    return _without_loose_end(records, next(later, len(records)), BrokenRecord, MessageRecord)


def until_end(records: Sequence[Record]) -> int:
    """How many records a retry begins with: all, but for a last answer that was cut short, which is bought anew."""
    models = [(i, one) for i, one in enumerate(records) if isinstance(one, ModelRecord)]
    if models and models[-1][1].stop_reason in STOPPED_SHORT:
        return _without_loose_end(records, models[-1][0], BrokenRecord)
    return len(records)


def _without_loose_end(records: Sequence[Record], kept: int, *kinds: type[Record]) -> int:
    """Without those of these kinds at the end: they belong to the turn that would have come next."""
    while kept and isinstance(records[kept - 1], kinds):
        kept -= 1
    return kept
