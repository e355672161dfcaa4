"""The calls: as large as they say, long-tailed, and the same for everybody."""

import statistics

from bench.gate.order import CHAT, LARGE_INPUT_TOKENS, WORK, Order, Orders
from local.provider.directive import read_directive
from local.provider.tokens import count_tokens


def orders(count: int, seed: str = "1") -> list[Order]:
    source = Orders(seed, "one", WORK)
    return [source.next() for _ in range(count)]


def test_the_same_seed_gives_the_same_calls() -> None:
    assert orders(50) == orders(50)
    assert orders(50) != orders(50, seed="2")


def test_the_text_has_the_size_that_the_provider_will_count() -> None:
    for order in [*orders(200), Orders("1", "somebody-with-a-long-name", CHAT).next()]:
        [message] = order.request().messages
        assert count_tokens(message["content"]) == order.input_tokens


def test_the_text_tells_the_provider_what_to_answer_and_for_whom() -> None:
    order = orders(1)[0]
    directive = read_directive(order.request().messages[0]["content"])
    assert (directive.user, directive.output_tokens, directive.latency) == ("one", order.output_tokens, order.latency)


def test_sizes_have_a_long_tail() -> None:
    inputs = [order.input_tokens for order in orders(5_000)]
    assert statistics.mean(inputs) > 1.4 * statistics.median(inputs)
    assert 0.02 < sum(size >= LARGE_INPUT_TOKENS for size in inputs) / len(inputs) < 0.08
    assert max(inputs) <= WORK.most_input
