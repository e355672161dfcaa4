"""What tokens cost: the listed prices, exact to the nano-dollar, and models that have none."""

import pytest
from structlog.testing import capture_logs

from shared.usage import NANO, Usage
from worker.pricing import cost_nano, has_price, highest_cost_nano

SONNET = ("anthropic", "claude-sonnet-4-6")


@pytest.mark.parametrize(
    ("kind", "dollars_per_million"),
    [
        ("input_tokens", 3),
        ("output_tokens", 15),
        ("cache_read_input_tokens", 0.30),
        ("cache_creation_input_tokens", 3.75),
    ],
)
@pytest.mark.parametrize("count", [1, 1000, 100_000])
def test_each_kind_of_token_has_its_price(kind: str, dollars_per_million: float, count: int) -> None:
    assert cost_nano(*SONNET, Usage(**{kind: count})) == round(count * dollars_per_million * NANO / 1_000_000)


def test_a_call_costs_the_sum_of_its_tokens() -> None:
    used = Usage(input_tokens=1000, cache_creation_input_tokens=2000, cache_read_input_tokens=10_000, output_tokens=500)
    assert cost_nano(*SONNET, used) == 3_000_000 + 7_500_000 + 3_000_000 + 7_500_000


def test_nothing_costs_nothing() -> None:
    assert cost_nano(*SONNET, Usage()) == 0


def test_a_model_without_a_price_is_free_and_that_is_said_once() -> None:
    with capture_logs() as logged:
        costs = [cost_nano("anthropic", "model-of-this-test", Usage(input_tokens=1000)) for _ in range(3)]

    assert costs == [0, 0, 0]
    (line,) = logged
    assert line["event"] == "model_has_no_price"
    assert (line["provider"], line["model"]) == ("anthropic", "model-of-this-test")


def test_a_provider_without_prices_is_free_too() -> None:
    assert cost_nano("house-of-this-test", "claude-sonnet-4-6", Usage(input_tokens=1000)) == 0


@pytest.mark.parametrize("read", ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"])
def test_no_way_to_read_the_input_costs_more_than_the_highest(read: str) -> None:
    highest = highest_cost_nano(*SONNET, 1000, 200)
    assert cost_nano(*SONNET, Usage(**{read: 1000}, output_tokens=200)) <= highest == 3_750_000 + 3_000_000


def test_it_is_known_which_models_have_a_price() -> None:
    assert has_price(*SONNET)
    assert not has_price("anthropic", "another-model-of-this-test")
    with pytest.raises(LookupError):
        highest_cost_nano("anthropic", "another-model-of-this-test", 1, 1)
