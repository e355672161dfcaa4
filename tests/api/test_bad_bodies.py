"""Bodies that no job can be made of: 4xx with the field's name, nothing enqueued, no trace in the log."""

import gzip
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from shared.redis_client import Redis
from tests.api.talk import WORK, job_of, pointers, problem, waiting

LIMIT = 1_048_576
JSON = {"Content-Type": "application/json"}
USER = {"role": "user", "content": "Hello"}


async def post(http: httpx2.AsyncClient, raw: Any, **headers: str) -> httpx2.Response:
    return await http.post("/v1/jobs", content=raw, headers=JSON | headers)


def work_of_size(size: int) -> bytes:
    frame = json.dumps(WORK | {"input": ""}).encode()
    return frame.replace(b'""', b'"' + b"x" * (size - len(frame)) + b'"')


async def chunks(raw: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(raw), 60_000):
        yield raw[start : start + 60_000]


async def test_a_body_of_just_the_limit_is_taken(http: httpx2.AsyncClient) -> None:
    raw = work_of_size(LIMIT)
    assert len(raw) == LIMIT
    for content in (raw, chunks(raw)):
        answer = await post(http, content)
        assert len(job_of(answer, 202)["input"]) > 1_000_000
        assert (await http.get(answer.headers["location"])).json()["input"] == json.loads(raw)["input"]


@pytest.mark.parametrize("size", [LIMIT + 1, 2 * LIMIT, 30 * LIMIT])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_larger_body_is_413(http: httpx2.AsyncClient, redis: Redis, size: int, chunked: bool) -> None:
    raw = work_of_size(size)
    answer = await post(http, chunks(raw) if chunked else raw)
    assert str(LIMIT) in problem(answer, 413, "body_too_large")["detail"]
    assert await waiting(redis) == 0
    job_of(await http.post("/v1/jobs", json=WORK), 202)


def nested(levels: int) -> bytes:
    """A body whose deepest value is that many levels down; the value of a block's field is on the sixth."""
    inner = b"[" * (levels - 6) + b"0" + b"]" * (levels - 6)
    return b'{"agent":"assistant","input":[{"role":"user","content":[{"type":"x","x":' + inner + b"}]}]}"


async def test_a_body_of_32_levels_is_taken(http: httpx2.AsyncClient) -> None:
    answer = await post(http, nested(32))
    job_of(answer, 202)
    job_of(await http.get(answer.headers["location"]))


@pytest.mark.parametrize(("levels", "status"), [(33, 422), (150, 422), (1000, 400), (100_000, 400)])
async def test_a_deeper_body_is_refused(http: httpx2.AsyncClient, redis: Redis, levels: int, status: int) -> None:
    body = problem(await post(http, nested(levels)), status)
    if status == 422:
        assert body["errors"][0]["pointer"].startswith("#/input/0/content/0/x/0")
    assert await waiting(redis) == 0


NO_JSON = {
    "nothing": b"",
    "blanks": b" \n ",
    "NUL": b"\0",
    "truncated": b'{"agent":"assistant","input":"x',
    "truncated after a value": b'{"agent":"assistant","input":"x"',
    "an open list": b"[" * 100_000,
    "open objects": b'{"a":' * 100_000,
    "more after it": b'{"agent":"assistant","input":"x"} {}',
    "a comma too many": b'{"agent":"assistant","input":"x",}',
    "single quotes": b"{'agent':'assistant'}",
    "a comment": b'{"agent":"assistant","input":"x"} // x',
    "a form": b"agent=assistant&input=x",
    "a byte order mark": b'\xef\xbb\xbf{"agent":"assistant","input":"x"}',
    "UTF-16": json.dumps(WORK).encode("utf-16"),
    "UTF-32": json.dumps(WORK).encode("utf-32"),
    "a byte that is no UTF-8": b'{"agent":"assistant","input":"\xff"}',
    "an overlong NUL": b'{"agent":"assistant","input":"\xc0\x80"}',
    "half a character": b'{"agent":"assistant","input":"\xf0\x9f\x9a"}',
    "a raw surrogate": b'{"agent":"assistant","input":"\xed\xa0\x80"}',
    "an escaped surrogate": b'{"agent":"assistant","input":"\\ud800"}',
    "an escaped low surrogate": b'{"agent":"assistant","input":"x\\udfff"}',
    "surrogates the wrong way round": b'{"agent":"assistant","input":"\\udc00\\ud800"}',
    "a surrogate in a name": b'{"agent":"assistant","input":"x","metadata":{"\\ud800":"x"}}',
    "a surrogate in metadata": b'{"agent":"assistant","input":"x","metadata":{"x":"\\ud83d"}}',
    "a raw line end in a text": b'{"agent":"assistant","input":"a\nb"}',
    "a raw NUL in a text": b'{"agent":"assistant","input":"a\0b"}',
    "NaN": b'{"agent":"assistant","input":NaN}',
    "Infinity": b'{"agent":"assistant","input":"x","budget":{"max_turns":Infinity}}',
    "-Infinity deep inside": b'{"agent":"assistant","input":[{"role":"user","content":[{"type":"x","x":-Infinity}]}]}',
    "a number of 5000 digits": b'{"agent":"assistant","input":"x","budget":{"max_turns":' + b"9" * 5000 + b"}}",
    "a number with a zero in front": b'{"agent":"assistant","input":"x","budget":{"max_turns":01}}',
}


@pytest.mark.parametrize("raw", NO_JSON.values(), ids=NO_JSON.keys())
async def test_what_is_no_json_is_400(http: httpx2.AsyncClient, redis: Redis, raw: bytes) -> None:
    problem(await post(http, raw), 400, "bad_json")
    assert await waiting(redis) == 0


def wrong_values() -> Iterator[tuple[str, Any]]:
    """Each wrong value with the pointer to it."""
    other = {"null": None, "number": 1, "fraction": 0.5, "boolean": True, "list": [], "object": {}, "empty": ""}

    def but(*fitting: str) -> list[Any]:
        return [value for name, value in other.items() if name not in fitting]

    counts = [*but("null", "number"), 0, -1, "5", 10**30, -(10**18), 1_000_000_001, 1e300]
    fields: dict[str, list[Any]] = {
        "agent": [*but(), "x" * 65],
        "input": [*but(), " ", "\n\t\u2003"],
        "priority": [*but(), "urgent", "HIGH", "standard "],
        "session_id": [*but("null"), " ", "a b", "x" * 129, "-a", "é", "a\n", "a/b", "\u0661"],
        "budget": [*but("object"), [{}]],
        "metadata": [*but("object"), [["a", "b"]], {f"k{i}": "v" for i in range(17)}],
    }
    for name, values in fields.items():
        yield from ((f"#/{name}", {name: value}) for value in values)
    for name in ("max_turns", "max_tokens", "max_seconds"):
        yield from ((f"#/budget/{name}", {"budget": {name: value}}) for value in counts)
    amounts = ["0", "0.000000", "-1", "+1", "1e3", "one", "1,5", "1.", ".5", "0.0000001", "1234567", "NaN", "Infinity"]
    for value in [*but("null"), *amounts, "\u0661", "1 ", "1\n", "1_0", "$1", "9" * 5000]:
        yield "#/budget/max_cost_usd", {"budget": {"max_cost_usd": value}}
    for value in [*but("empty"), "x" * 513]:
        yield "#/metadata/a", {"metadata": {"a": value}}
    for name in ("", "x" * 65):
        yield f"#/metadata/{name}", {"metadata": {name: "x"}}
    for name in ("a/b~c", "str", "list", "content", "[key]"):
        yield f"#/metadata/{name.replace('~', '~0').replace('/', '~1')}", {"metadata": {name: 1}}


WRONG = list(wrong_values())


@pytest.mark.parametrize(("pointer", "change"), WRONG, ids=[f"{at} {str(one)[:50]!a}" for at, one in WRONG])
async def test_a_wrong_value_is_refused_by_name(
    http: httpx2.AsyncClient, redis: Redis, pointer: str, change: dict[str, Any]
) -> None:
    body = problem(await http.post("/v1/jobs", json=WORK | change), 422, "invalid_request")
    assert pointer in pointers(body)
    assert await waiting(redis) == 0


SAID: list[tuple[Any, list[tuple[str, str]]]] = [
    ([], [("#", "input should be an object")]),
    (WORK | {"prio": "high"}, [("#/prio", "there is no such field; did you mean priority?")]),
    (WORK | {"x" * 100_000: 1}, [("#/" + "x" * 100_000, "there is no such field")]),
    (WORK | {"budget": {"tokens": 1}}, [("#/budget/tokens", "there is no such field")]),
    (WORK | {"budget": []}, [("#/budget", "input should be an object")]),
    (WORK | {"input": 1}, [("#/input", "input should be a valid string or a valid list")]),
    (WORK | {"input": ""}, [("#/input", "string should have at least 1 character")]),
    (WORK | {"input": []}, [("#/input", "list should have at least 1 item")]),
    (WORK | {"input": [{"role": "user"}]}, [("#/input/0/content", "field required")]),
    (
        WORK | {"input": [{"role": "user", "content": 1}]},
        [("#/input/0/content", "input should be a valid string or a valid list")],
    ),
]


@pytest.mark.parametrize(("body", "said"), SAID, ids=[said[0][0][:30] + said[0][1][:50] for _, said in SAID])
async def test_each_mistake_is_told_once_and_says_what_is_taken(
    http: httpx2.AsyncClient, body: Any, said: list[tuple[str, str]]
) -> None:
    answer = problem(await http.post("/v1/jobs", json=body), 422, "invalid_request")
    assert [(one["pointer"], one["detail"]) for one in answer["errors"]] == said
    assert answer["detail"] == "1 field is not valid; see errors."


CONVERSATIONS: dict[str, tuple[list[Any], str]] = {
    "begins with the assistant": ([{"role": "assistant", "content": "Hi"}, USER], "#/input"),
    "ends with the assistant": ([USER, {"role": "assistant", "content": "Hi"}], "#/input"),
    "no message": (["Hello"], "#/input/0"),
    "null": ([USER, None], "#/input/1"),
    "no role": ([{"content": "x"}], "#/input/0/role"),
    "no content": ([{"role": "user"}], "#/input/0/content"),
    "another role": ([{"role": "system", "content": "x"}], "#/input/0/role"),
    "a role of no text": ([{"role": 1, "content": "x"}], "#/input/0/role"),
    "empty content": ([{"role": "user", "content": ""}], "#/input/0/content"),
    "blank content": ([{"role": "user", "content": " \n"}], "#/input/0/content"),
    "no blocks": ([{"role": "user", "content": []}], "#/input/0/content"),
    "content a number": ([{"role": "user", "content": 1}], "#/input/0/content"),
    "content an object": ([{"role": "user", "content": {"type": "text", "text": "x"}}], "#/input/0/content"),
    "a block of no object": ([{"role": "user", "content": ["x"]}], "#/input/0/content/0"),
    "a block without a type": ([{"role": "user", "content": [{"text": "x"}]}], "#/input/0/content"),
    "a type of no text": ([{"role": "user", "content": [{"type": 1}]}], "#/input/0/content"),
    "a text block without a text": ([{"role": "user", "content": [{"type": "text"}]}], "#/input/0/content"),
    "a blank text block": ([{"role": "user", "content": [{"type": "text", "text": " "}]}], "#/input/0/content"),
    "an unknown field": ([USER | {"name": "Bob"}], "#/input/0/name"),
    "an unknown field named like a type": ([USER | {"str": 1}], "#/input/0/str"),
    "a mistake far behind": ([USER] * 500 + [USER | {"x": 1}], "#/input/500/x"),
}


@pytest.mark.parametrize(("messages", "pointer"), CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
async def test_a_conversation_that_is_none_is_refused_by_name(
    http: httpx2.AsyncClient, redis: Redis, messages: list[Any], pointer: str
) -> None:
    body = problem(await http.post("/v1/jobs", json=WORK | {"input": messages}), 422, "invalid_request")
    assert pointer in pointers(body)
    assert await waiting(redis) == 0


@pytest.mark.parametrize(
    "name", ["Agent", "model", "webhook", "str", "list", "a/b~c", "", "__proto__", "\U0001f680", "id"]
)
async def test_an_unknown_field_is_refused_at_every_level(http: httpx2.AsyncClient, redis: Redis, name: str) -> None:
    extra = {name: "x"}
    body = WORK | extra | {"budget": extra, "input": [USER | extra]}
    answer = problem(await http.post("/v1/jobs", json=body), 422, "invalid_request")
    escaped = name.replace("~", "~0").replace("/", "~1")
    assert {f"#/{escaped}", f"#/budget/{escaped}", f"#/input/0/{escaped}"} <= pointers(answer)
    assert await waiting(redis) == 0


@pytest.mark.parametrize("body", [None, True, 1, "x", [], [WORK], {}])
async def test_a_body_that_is_no_job_is_refused(http: httpx2.AsyncClient, body: Any) -> None:
    answer = problem(await post(http, json.dumps(body)), 422, "invalid_request")
    assert pointers(answer) == ({"#/agent", "#/input"} if body == {} else {"#"})


async def test_all_mistakes_are_named_at_once(http: httpx2.AsyncClient) -> None:
    body = {"input": "", "priority": "x", "budget": {"max_turns": 0, "x": 1}, "metadata": {"a": 1}, "session_id": " "}
    found = pointers(problem(await http.post("/v1/jobs", json=body), 422))
    assert found == {
        "#/agent",
        "#/input",
        "#/priority",
        "#/budget/max_turns",
        "#/budget/x",
        "#/metadata/a",
        "#/session_id",
    }


NUL = {
    "#/input": WORK | {"input": "a\0b"},
    "#/agent": WORK | {"agent": "\0"},
    "#/session_id": WORK | {"session_id": "a\0"},
    "#/metadata/a": WORK | {"metadata": {"a": "\0"}},
    "#/metadata/\\u0000": WORK | {"metadata": {"\0": "a"}},
    "#/\\u0000": WORK | {"\0": 1},
    "#/input/0/content": WORK | {"input": [{"role": "user", "content": "\0"}]},
    "#/input/0/content/0/x/\\u0000a": WORK | {"input": [{"role": "user", "content": [{"type": "x", "x": {"\0a": 1}}]}]},
}


@pytest.mark.parametrize(("pointer", "body"), NUL.items(), ids=range(len(NUL)))
async def test_nul_is_refused_by_name(http: httpx2.AsyncClient, redis: Redis, pointer: str, body: Any) -> None:
    assert pointers(problem(await http.post("/v1/jobs", json=body), 422, "invalid_request")) == {pointer}
    assert await waiting(redis) == 0


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400 + ".0"])
async def test_a_number_beyond_all_bounds_is_refused_by_name(http: httpx2.AsyncClient, number: str) -> None:
    raw = '{"agent":"assistant","input":[{"role":"user","content":[{"type":"x","x":' + number + "}]}]}"
    answer = problem(await post(http, raw), 422, "invalid_request")
    assert pointers(answer) == {"#/input/0/content/0/x"}


@pytest.mark.parametrize("digits", [310, 4000, 4299, 4300])
async def test_a_huge_integer_is_kept_exactly_or_refused(http: httpx2.AsyncClient, digits: int) -> None:
    raw = '{"agent":"assistant","input":[{"role":"user","content":[{"type":"x","x":' + "7" * digits + "}]}]}"
    answer = await post(http, raw)
    if answer.status_code == 202:
        assert "7" * digits in (await http.get(answer.headers["location"])).text
        assert (await http.get("/v1/jobs")).status_code == 200
    else:
        problem(answer, 400, "bad_json")


OVER = {"max_turns": 6, "max_tokens": 1001, "max_cost_usd": "0.500001", "max_seconds": 61}


@pytest.mark.parametrize(("name", "wish"), OVER.items())
async def test_a_budget_above_the_agents_is_refused_by_name(
    http: httpx2.AsyncClient, redis: Redis, name: str, wish: Any
) -> None:
    body = WORK | {"agent": "frugal", "budget": {name: wish}}
    assert pointers(problem(await http.post("/v1/jobs", json=body), 422)) == {f"#/budget/{name}"}
    assert await waiting(redis) == 0


async def test_all_of_a_budget_above_the_agents_is_named_at_once(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/jobs", json=WORK | {"agent": "frugal", "budget": OVER})
    assert pointers(problem(answer, 422)) == {f"#/budget/{name}" for name in OVER}


async def test_metadata_up_to_its_bounds_is_taken(http: httpx2.AsyncClient) -> None:
    metadata = {f"{i:02}" + "\U0001f680" * 62: "\U0001f680" * 512 for i in range(16)}
    assert job_of(await http.post("/v1/jobs", json=WORK | {"metadata": metadata}), 202)["metadata"] == metadata


KINDS = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"]


@pytest.mark.parametrize("kind", [*KINDS, "", "json", "application/problem+json", "*/*", "\u00ff"])
async def test_another_content_type_is_415(http: httpx2.AsyncClient, redis: Redis, kind: str) -> None:
    headers = [(b"Content-Type", kind.encode("latin-1"))]
    answer = await http.post("/v1/jobs", content=json.dumps(WORK), headers=headers)
    problem(answer, 415, "unsupported_media_type")
    assert await waiting(redis) == 0


async def test_no_content_type_is_415(http: httpx2.AsyncClient) -> None:
    problem(await http.post("/v1/jobs", content=json.dumps(WORK)), 415, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["APPLICATION/JSON", "application/json;charset=UTF-8", "application/json ; x=y"])
async def test_json_by_any_spelling_is_taken(http: httpx2.AsyncClient, kind: str) -> None:
    answer = await http.post("/v1/jobs", content=json.dumps(WORK), headers={"Content-Type": kind})
    job_of(answer, 202)


@pytest.mark.parametrize("coding", ["gzip", "br", "x", "identity, gzip"])
async def test_a_packed_body_is_415(http: httpx2.AsyncClient, redis: Redis, coding: str) -> None:
    answer = await post(http, gzip.compress(json.dumps(WORK).encode()), **{"Content-Encoding": coding})
    problem(answer, 415, "unsupported_media_type")
    assert await waiting(redis) == 0


BURDENS = {
    "numbers for messages": b'{"agent":"assistant","input":[' + b"3," * 520_000 + b"3]}",
    "numbers for blocks": b'{"agent":"assistant","input":[{"role":"user","content":[' + b"3," * 520_000 + b"3]}]}",
    "unknown fields": b'{"agent":"assistant","input":"x"' + b"".join(b',"%06x":1' % i for i in range(90_000)) + b"}",
    "wrong metadata": b'{"agent":"assistant","input":"x","metadata":{"":1'
    + b"".join(b',"%06x":1' % i for i in range(90_000))
    + b"}}",
    "empty lists": b'{"agent":"assistant","input":[' + b"[]," * 340_000 + b"[]]}",
}


@pytest.mark.parametrize("raw", BURDENS.values(), ids=BURDENS.keys())
async def test_a_body_of_nothing_but_mistakes_is_refused_in_few_words(http: httpx2.AsyncClient, raw: bytes) -> None:
    """Naming each of half a million mistakes kept the process busy for seconds and made an answer of 50 MB."""
    assert len(raw) <= LIMIT
    answer = await post(http, raw)
    problem(answer, 422, "invalid_request")
    assert len(answer.content) < 20_000
    assert answer.elapsed.total_seconds() < 3
