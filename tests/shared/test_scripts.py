"""The Lua scripts: their headers are the contract of every call."""

import json
import re
from typing import cast

import pytest
from redis.exceptions import ResponseError

from shared import keys, scripts
from shared.errors import StoreUnavailable
from shared.redis_client import Redis
from shared.scripts import Function, Script, script
from tests.shared.gating import forget_scripts

FILES = {path.stem: path.read_text() for path in scripts._FOLDER.glob("*.lua")}
SHARED = {
    name
    for text in FILES.values()
    for line in re.findall(r"^-- USES (.*)$", text, re.MULTILINE)
    for name in line.split()
}
NAMES = sorted(FILES.keys() - SHARED)
NAMES_OF_KEYS = ("state", "high", "standard", "low", "waiting", "tenants", "calls")
PLACES = dict.fromkeys(NAMES_OF_KEYS, keys.gate_state("pool"))
ARGS = {"tenant": "", "limits": '{"requests": 50, "input": 10, "output": 10, "in_flight": 1}'}


def test_there_are_scripts() -> None:
    assert {"job_submit", "job_claim", "gate_enter", "agents_announce"} <= set(NAMES)


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
            assert f"{local} = {kind}[{number}]\n" in made.text
    assert len({*made.keys, *made.args}) == len(made.keys) + len(made.args), "no name hides another"


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_a_header_is_used(name: str) -> None:
    made = Script(name)
    body = "\n".join(line for line in made.text.splitlines() if not line.startswith(("--", "local ")))
    body += "\n".join(re.findall(r"^local .* = (?!KEYS|ARGV)(.*)$", made.text, re.MULTILINE))
    assert [each for each in (*made.keys, *made.args) if not re.search(rf"\b{each}\b", body)] == []


@pytest.mark.parametrize("name", [name for name in NAMES if not isinstance(script(name), Function)])
async def test_every_script_compiles_and_is_known_by_our_own_digest(redis: Redis, name: str) -> None:
    loaded = await redis.script_load(script(name).text)  # type: ignore[attr-defined]
    assert loaded == script(name).sha


@pytest.mark.parametrize(
    ("given", "args"),
    [
        ({}, ARGS),
        (PLACES | {"more": "x"}, ARGS),
        ({"state": "state", "Calls": "calls"}, ARGS),
        (PLACES, ARGS | {"more": 1}),
        (PLACES, {}),
    ],
)
async def test_a_call_by_other_names_is_refused_before_it_is_sent(
    redis: Redis, given: dict[str, str], args: dict[str, str | int]
) -> None:
    with pytest.raises(TypeError, match=r"gate_read takes KEYS .'state', 'high', .*'tags'. and ARGV"):
        await script("gate_read")(redis, given, args)


async def test_arguments_may_come_in_any_order(redis: Redis) -> None:
    job = {"id": "job", "owner": "nobody", "event": "fail", "output": "", "error": "", "incomplete": "", "message": ""}
    given = job | {"agent": "", "hears": 0, "retention_ms": "1000"}

    answer = await script("job_finish")(redis, {}, dict(reversed(given.items())))

    assert answer == "lost"


async def test_a_server_that_lost_a_library_is_told_again(redis: Redis) -> None:
    where = {key: value for key, value in keys.gate("pool").items() if key != "holders"}
    before = await script("gate_read")(redis, where, ARGS)
    await redis.function_flush()  # type: ignore[attr-defined]
    again = await script("gate_read")(redis, where, ARGS)

    assert json.loads(before)["breaker"] == json.loads(again)["breaker"] == "closed"
    (library,) = await redis.function_list()  # type: ignore[attr-defined]
    assert "sluice_gate_" in str(library)


class OldRedis:
    """What Redis 6.2 answers."""

    async def fcall(self, name: str, *rest: object) -> None:
        raise ResponseError(f"unknown command `FCALL`, with args beginning with: `{name}`, `8`, ")


async def test_a_server_without_functions_is_waited_for_and_named() -> None:
    where = {key: value for key, value in keys.gate("pool").items() if key != "holders"}
    with pytest.raises(StoreUnavailable, match="too old"):
        await script("gate_read")(cast(Redis, OldRedis()), where, ARGS)


async def test_two_versions_of_a_library_stand_side_by_side(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    where = {key: value for key, value in keys.gate("pool").items() if key != "holders"}
    old, read = script("gate_read"), scripts._read
    forget_scripts()
    monkeypatch.setattr(scripts, "_read", lambda name: read(name).replace("'closed'", "'shut_not'"))
    new = script("gate_read")
    forget_scripts()

    for _ in range(2):
        assert json.loads(await old(redis, where, ARGS))["breaker"] == "closed"
        assert json.loads(await new(redis, where, ARGS))["breaker"] == "shut_not"


async def test_a_server_that_forgot_the_scripts_is_told_again(redis: Redis) -> None:
    before = await script("job_queue_state")(redis, {})
    await redis.script_flush()  # type: ignore[attr-defined]
    again = await script("job_queue_state")(redis, {})

    assert before[:4] == again[:4] == [0, 0, 0, -1]
    known = await redis.script_exists(script("job_queue_state").sha)  # type: ignore[attr-defined]
    assert known == [True], "and knows it from then on"


def test_only_constants_that_are_mentioned_are_made_anew_at_each_call() -> None:
    assert "local COUNTS = 'sluice:counts'" in script("job_submit").text
    assert "local AGENTS =" not in script("job_submit").text


def test_a_script_there_is_not_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        script("job_nonesuch")
