"""The score of a chain's targets, and the verdict on its fallback."""

import json

import pytest

from shared import clock, keys
from shared.chain_scores import FEWEST, KEPT, ChainScores, Note, Score, Verdict, judge, score
from shared.redis_client import Redis

GOOD = Note("ok", milliseconds=200, cost_nano=2_000_000, tool_calls=2, valid_tool_calls=2)
BAD = Note("overloaded_error")
NOTHING = Score(
    calls=0, success=None, milliseconds=None, cost_nano=None, tool_calls=0, valid_tool_calls=None, last_trouble=None
)


def test_of_no_calls_nothing_is_known() -> None:
    assert score([]) == NOTHING


def test_a_score_is_of_what_was_served_and_how_much_was() -> None:
    slow = Note("ok", milliseconds=900, cost_nano=5_000_000, tool_calls=2, valid_tool_calls=1)
    assert score([GOOD, Note("no_room"), slow, BAD, GOOD]) == Score(
        calls=5,
        success=0.6,
        milliseconds=200,
        cost_nano=3_000_000,
        tool_calls=6,
        valid_tool_calls=5 / 6,
        last_trouble="no_room",
    )


def test_without_tool_calls_none_was_wrong() -> None:
    assert score([Note("ok", 1)]).valid_tool_calls is None


@pytest.mark.parametrize(
    ("notes", "verdict"),
    [
        ([], Verdict(False, "haiku: no call in the last 24 h; drill_percent has it called on purpose")),
        ([GOOD] * 4, Verdict(False, "haiku: only 4 of 5 calls needed in the last 24 h")),
        ([GOOD] * 5, Verdict(True, "haiku: 100 % of its last 5 calls succeeded")),
        ([Note("ok", 200)] * 5, Verdict(True, "haiku: 100 % of its last 5 calls succeeded")),
        ([GOOD] * 95 + [BAD] * 5, Verdict(True, "haiku: 95 % of its last 100 calls succeeded")),
        (
            [GOOD] * 46 + [BAD] * 4,
            Verdict(False, "haiku: success 92 % < 95 % (the last trouble: overloaded_error)"),
        ),
        (
            [GOOD] * 18 + [Note("ok", 200, 1, tool_calls=4, valid_tool_calls=2)],
            Verdict(True, "haiku: 100 % of its last 19 calls succeeded"),
        ),
        (
            [GOOD] * 9 + [Note("ok", 200, 1, tool_calls=4, valid_tool_calls=2)],
            Verdict(False, "haiku: valid tool calls 90.9 % < 95 %"),
        ),
    ],
)
def test_a_verdict_is_plain(notes: list[Note], verdict: Verdict) -> None:
    assert judge("haiku", score(notes)) == verdict


@pytest.mark.parametrize("good", range(FEWEST, KEPT))
def test_what_is_too_little_never_looks_like_enough(good: int) -> None:
    verdict = judge("haiku", score([GOOD] * good + [BAD] * (KEPT - good)))
    assert verdict.ready == (good >= 95)
    assert f"{good} %" in verdict.reason


async def test_the_last_hundred_calls_count(redis: Redis) -> None:
    scores = ChainScores(redis)
    for note in [BAD] * 30 + [GOOD] * 80:
        await scores.note("default", "haiku", note)

    found = await scores.read("default", "haiku")

    assert (found.calls, found.success, found.tool_calls) == (100, 0.8, 160)
    assert await scores.read("default", "sonnet") == await scores.read("other", "haiku") == NOTHING


async def test_a_call_counts_for_a_day(redis: Redis) -> None:
    scores, key = ChainScores(redis), keys.chain_calls("default", "haiku")
    await scores.note("default", "haiku", GOOD)
    (line,) = await redis.lrange(key, 0, -1)
    told, _, note = line.partition(" ")
    day = clock.DAY_MS // 1000
    for age in (day - 60, day + 60):
        await redis.rpush(key, f"{int(told) - age} {note}")

    assert (await scores.read("default", "haiku")).calls == 2
    assert 0 < await redis.pttl(key) <= clock.DAY_MS


async def test_a_note_of_a_newer_version_is_read_as_far_as_it_is_known(redis: Redis) -> None:
    scores, key = ChainScores(redis), keys.chain_calls("default", "haiku")
    seconds, _ = await redis.time()  # type: ignore[attr-defined]
    await redis.lpush(key, f"{seconds} {json.dumps({'outcome': 'ok', 'colour': 'red'})}")
    await redis.expire(key, 60)

    assert (await scores.read("default", "haiku")).success == 1
