"""What a driver can do to the limits in mid-run, over HTTP, and what the books say then."""

import anthropic
import httpx2
import pytest

MODEL, OTHER = "claude-sonnet-4-6", "claude-haiku-4-5"
STILL = {"requests_per_minute": 0.1, "input_tokens_per_minute": 0.1, "output_tokens_per_minute": 0.1}
"""So slow that a test never sees it refill."""


async def refused(sdk, request) -> anthropic.RateLimitError | None:
    try:
        await sdk.messages.create(**request)
    except anthropic.RateLimitError as error:
        return error
    return None


async def test_limits_change_in_mid_run_and_the_headers_say_so(sdk, ask, provider):
    provider.change_limits(model=MODEL, requests_per_minute=2, burst=1)
    assert await refused(sdk, ask("Hello", output_tokens=1)) is None
    assert await refused(sdk, ask("Hello", output_tokens=1)) is None
    error = await refused(sdk, ask("Hello", output_tokens=1))
    assert error is not None
    assert error.response.headers["anthropic-ratelimit-requests-limit"] == "2"
    assert await refused(sdk, ask("Hello", output_tokens=1) | {"model": OTHER}) is None, "only that model"
    books = provider.books(MODEL)
    assert books["dimensions"]["requests"]["clamped"] > 3_900
    assert books["refused"] == {"requests": 1}


async def test_a_reset_brings_the_first_limits_back(sdk, ask, provider):
    provider.change_limits(requests_per_minute=1, burst=1, charge_refused=True)
    provider.let_in(share=1)
    provider.reset()
    assert provider.books(MODEL)["dimensions"]["requests"]["limit"] == 4_000
    for _ in range(3):
        assert await refused(sdk, ask("Hello", output_tokens=1)) is None


async def test_a_foreign_user_empties_the_buckets(sdk, ask, provider):
    provider.change_limits(**STILL, burst=1_000)
    provider.let_in(gulp={"requests": 99.5})
    error = await refused(sdk, ask("Hello"))
    assert error is not None
    assert "requests per minute" in error.api_message
    assert provider.books(MODEL)["dimensions"]["requests"]["gulped"] == pytest.approx(99.5)


async def test_a_foreign_user_takes_every_refill(sdk, ask, provider):
    provider.let_in(share=1)
    provider.change_limits(requests_per_minute=1, burst=1)
    assert await refused(sdk, ask("Hello")) is None
    assert await refused(sdk, ask("Hello")) is not None
    assert provider.books(MODEL)["dimensions"]["requests"]["foreign"] > 0


async def test_a_429_costs_a_request_when_that_is_asked_for(sdk, ask, provider):
    provider.change_limits(requests_per_minute=0.01, burst=100, charge_refused=True)
    for _ in range(3):
        await refused(sdk, ask("Hello", output_tokens=1))
    flows = provider.books(MODEL)["dimensions"]["requests"]
    assert (flows["used"], flows["charged"]) == (1, 2)


async def test_the_books_know_who_used_what(sdk, ask, provider):
    def by(user, **more):
        return ask("Hello", output_tokens=7, **more) | {"metadata": {"user_id": user}}

    await sdk.messages.create(**by("ada"))
    await sdk.messages.create(**by("ada"))
    await sdk.messages.create(**by("grace"))
    await sdk.messages.create(**ask("Hello", output_tokens=5, user="by directive"))
    await sdk.messages.create(**ask("Hello", output_tokens=3))
    provider.change_limits(requests_per_minute=0.01, burst=1)
    await refused(sdk, by("ada"))
    await refused(sdk, by("grace"))
    books = provider.books(MODEL)
    used = {user: (use["requests"], use["output_tokens"]) for user, use in books["users"].items()}
    assert (used["by directive"], used[""]) == ((1, 5), (1, 3))
    assert (used["ada"], used["grace"]) == ((3, 21), (1, 7)), "one more was left"
    assert books["users"]["grace"]["refused"] == 1
    assert sum(use["output_tokens"] for use in books["users"].values()) == books["dimensions"]["output_tokens"]["used"]
    assert sum(use["input_tokens"] for use in books["users"].values()) == books["dimensions"]["input_tokens"]["used"]
    assert provider.calls()[0]["user"] == "ada"


async def test_output_is_in_the_books_while_it_is_produced(sdk, ask, provider):
    request = ask(output_tokens=2_000, tokens_per_second=1_000)
    async with sdk.messages.stream(**request) as stream:
        async for _ in stream.text_stream:
            break
        so_far = provider.books(MODEL)["dimensions"]["output_tokens"]["used"]
    assert 0 < so_far < 2_000


async def test_an_outage_of_all_calls_begins_and_ends_at_once(sdk, ask, provider):
    provider.set_fault("529")
    for _ in range(2):
        with pytest.raises(anthropic.OverloadedError):
            await sdk.messages.create(**ask("Hello"))
    provider.set_fault(None)
    await sdk.messages.create(**ask("Hello"))
    books = provider.books(MODEL)
    assert (books["overloaded"], books["dimensions"]["requests"]["used"]) == (2, 1)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("limits", {"requests_per_minute": 0}),
        ("limits", {"burst": "much"}),
        ("limits", {"tokens": 5}),
        ("foreign", {"share": 1.5}),
        ("foreign", {"gulp": {"requests": -1}}),
        ("foreign", {"gulp": {"tokens": 1}}),
    ],
)
async def test_a_wrong_body_is_refused(http, path, body):
    response = await http.post(f"/_sim/{path}", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["limits", "foreign"])
async def test_an_unknown_model_is_not_found(http, path):
    response = await http.post(f"/_sim/{path}", json={"model": "gpt"})
    assert response.status_code == httpx2.codes.NOT_FOUND


@pytest.mark.parametrize("metadata", ["ada", {"user_id": 5}])
async def test_wrong_metadata_is_refused(sdk, ask, metadata):
    with pytest.raises(anthropic.BadRequestError):
        await sdk.messages.create(**ask("Hello"), extra_body={"metadata": metadata})
