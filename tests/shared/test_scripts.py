"""The Lua scripts: their headers are the contract of every call."""

import re

import pytest

from shared import keys, scripts
from shared.redis_client import Redis
from shared.scripts import Script, script

NAMES = sorted(path.stem for path in scripts._FOLDER.glob("*.lua") if not path.stem.endswith("_common"))
STATE = {"queue": keys.ARQ_QUEUE, "leases": keys.LEASES, "drain": keys.DRAIN}


def test_there_are_scripts() -> None:
    assert {"job_submit", "job_claim", "gate_reserve", "agents_announce"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_a_header_becomes_a_local(name: str) -> None:
    made = Script(name)
    source = (scripts._FOLDER / f"{name}.lua").read_text()
    header = re.match(r"(--.*\n)*", source)
    assert header is not None
    for kind, parsed in (("KEYS", made.keys), ("ARGV", made.args)):
        (declared,) = re.findall(rf"^-- {kind}\b(.*)$", header.group(), re.MULTILINE)
        assert declared.split() == list(parsed), "no name is lost in reading"
        for number, local in enumerate(parsed, 1):
            assert f"local {local} = {kind}[{number}]\n" in made.text
    assert len({*made.keys, *made.args}) == len(made.keys) + len(made.args), "no name hides another"


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_a_header_is_used(name: str) -> None:
    made = Script(name)
    body = "\n".join(line for line in made.text.splitlines() if not line.startswith(("--", "local ")))
    body += "\n".join(re.findall(r"^local .* = (?!KEYS|ARGV)(.*)$", made.text, re.MULTILINE))
    assert [each for each in (*made.keys, *made.args) if not re.search(rf"\b{each}\b", body)] == []


@pytest.mark.parametrize("name", NAMES)
async def test_every_script_compiles_and_is_known_by_our_own_digest(redis: Redis, name: str) -> None:
    loaded = await redis.script_load(script(name).text)  # type: ignore[attr-defined]
    assert loaded == script(name).sha


@pytest.mark.parametrize(
    ("given", "args"),
    [
        ({}, {}),
        (STATE | {"more": "x"}, {}),
        ({name: key for name, key in STATE.items() if name != "drain"}, {}),
        (STATE, {"more": 1}),
        ({"Queue": keys.ARQ_QUEUE, "leases": keys.LEASES, "drain": keys.DRAIN}, {}),
    ],
)
async def test_a_call_by_other_names_is_refused_before_it_is_sent(
    redis: Redis, given: dict[str, str], args: dict[str, int]
) -> None:
    with pytest.raises(TypeError, match=r"job_queue_state takes KEYS .'queue', 'leases', 'drain'. and ARGV"):
        await script("job_queue_state")(redis, given, args)


async def test_arguments_may_come_in_any_order(redis: Redis) -> None:
    await redis.zadd(keys.ARQ_QUEUE, {"a": 1, "b": 2})  # type: ignore[attr-defined]
    await redis.hset(keys.LEASES, "a", "worker")  # type: ignore[attr-defined]
    backwards = dict(reversed(STATE.items()))

    waiting, running, *_ = await script("job_queue_state")(redis, backwards)

    assert (waiting, running) == (1, 1)
    await redis.delete(keys.ARQ_QUEUE, keys.LEASES)  # type: ignore[attr-defined]


async def test_a_server_that_forgot_the_scripts_is_told_again(redis: Redis) -> None:
    before = await script("job_queue_state")(redis, STATE)
    await redis.script_flush()  # type: ignore[attr-defined]
    again = await script("job_queue_state")(redis, STATE)

    assert before[:3] == again[:3] == [0, 0, "0"]
    known = await redis.script_exists(script("job_queue_state").sha)  # type: ignore[attr-defined]
    assert known == [True], "and knows it from then on"


def test_a_script_there_is_not_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        script("job_nonesuch")
