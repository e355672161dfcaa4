"""The catalogue: what workers announce is known to all, and forgotten when nobody announces it any more."""

import json

import pytest

from shared import keys
from shared.catalogue import ANNOUNCE_SECONDS, FORGET_SECONDS, AgentEntry, Catalogue
from shared.redis_client import Redis


def entry(name: str, **fields: str) -> AgentEntry:
    return AgentEntry(
        **{  # type: ignore[arg-type]
            "name": name,
            "version": "1",
            "description": 'Says "%s" \\ \N{SNOWMAN}\n\0',
            "chain": "default",
            "tools": [{"name": "clock", "description": "Tell the time.", "effect": "read"}],
            "budget": {"max_turns": 20, "max_tokens": None, "max_cost_usd": "0.500000", "max_seconds": 3600},
            **fields,
        }
    )


@pytest.fixture
def catalogue(redis: Redis) -> Catalogue:
    return Catalogue(redis)


async def age(redis: Redis, name: str, seconds: int) -> None:
    """As if the agent had been announced so long ago."""
    kept = json.loads(await redis.hget(keys.AGENTS, name))  # type: ignore[attr-defined]
    aged = {"seen_ms": kept["seen_ms"] - seconds * 1000, "entry": kept["entry"]}
    await redis.hset(keys.AGENTS, name, json.dumps(aged, separators=(",", ":")))  # type: ignore[attr-defined]


async def test_nobody_has_announced_anything_yet(catalogue: Catalogue) -> None:
    assert await catalogue.read() == {}


async def test_what_is_announced_is_read_as_it_was_by_name(catalogue: Catalogue) -> None:
    announced = [entry("writer"), entry("a" * 64), entry("reader", chain="cheap")]
    await catalogue.announce(announced)

    assert await catalogue.read() == {one.name: one for one in announced}
    assert list(await catalogue.read()) == ["a" * 64, "reader", "writer"]


async def test_workers_of_two_kinds_add_up_and_the_latest_word_counts(redis: Redis, catalogue: Catalogue) -> None:
    await catalogue.announce([entry("writer"), entry("reader")])
    await Catalogue(redis).announce([entry("painter"), entry("reader", version="2")])

    known = await catalogue.read()
    assert {name: one.version for name, one in known.items()} == {"painter": "1", "reader": "2", "writer": "1"}


async def test_an_agent_nobody_announces_any_more_is_forgotten(redis: Redis, catalogue: Catalogue) -> None:
    await catalogue.announce([entry("old"), entry("late"), entry("kept")])
    await age(redis, "old", FORGET_SECONDS + 1)
    await age(redis, "late", FORGET_SECONDS - 60)

    await catalogue.announce([entry("kept")])

    assert list(await catalogue.read()) == ["kept", "late"]


async def test_an_agent_announced_again_is_remembered(redis: Redis, catalogue: Catalogue) -> None:
    await catalogue.announce([entry("old")])
    await age(redis, "old", FORGET_SECONDS + 1)

    await catalogue.announce([entry("old")])

    assert list(await catalogue.read()) == ["old"]


async def test_a_worker_without_agents_announces_nothing_and_forgets_all_the_same(
    redis: Redis, catalogue: Catalogue
) -> None:
    await catalogue.announce([entry("old")])
    await age(redis, "old", FORGET_SECONDS + 1)
    await catalogue.announce([])
    assert await catalogue.read() == {}


def test_a_living_worker_speaks_often_enough_not_to_be_forgotten() -> None:
    assert ANNOUNCE_SECONDS * 3 < FORGET_SECONDS
