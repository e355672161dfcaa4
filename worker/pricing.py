"""What tokens cost, by the price list of `genai-prices`, which ships its data and is asked without the network."""

from functools import cache

import genai_prices

from shared import log
from shared.sections import DEFAULT_MODEL
from shared.usage import NANO, Usage

logger = log.get(__name__)


def cost_nano(provider: str, model: str, usage: Usage) -> int:
    """The price of one call in nano-dollars; 0, said once, for a model that has no listed price."""
    tokens = genai_prices.Usage(
        input_tokens=usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens,
        cache_write_tokens=usage.cache_creation_input_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        output_tokens=usage.output_tokens,
    )
    try:
        price = genai_prices.calc_price(tokens, model, provider_id=provider)
    except LookupError:
        _say_unpriced(provider, model)
        return 0
    return round(price.total_price * NANO)


def warm_up() -> None:
    """Reads the price list, which takes a quarter of a second: at start, not while jobs run."""
    genai_prices.calc_price(genai_prices.Usage(input_tokens=1), DEFAULT_MODEL)


@cache
def _say_unpriced(provider: str, model: str) -> None:
    logger.warning("model_has_no_price", provider=provider, model=model, effect="its calls are counted as free")
