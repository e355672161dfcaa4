"""Who comes again when only time brings the next one, and when."""

from tests.shared.gating import Gates, call, pool


async def test_the_leader_gives_others_time_as_long_as_they_come_often(gates: Gates) -> None:
    """Each of them lets pass what is due: the leader would come in vain, tens of times a second."""
    where = pool()
    await gates.fill(where)
    entries = [await gates.enter(where, call()) for _ in range(80)]
    assert entries[-1].leads
    assert 250 < entries[-1].next_ms < 600

    for _ in range(3):
        await gates.later(0.4)
        next_ms, leads, *_ = await gates.worker().commands.tell(where)

    assert leads
    assert next_ms <= 250, "nobody else has come: it is on time"
