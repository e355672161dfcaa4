"""What tokens cost, by the price list of `genai-prices`, which ships its data and is asked without the network."""

from functools import cache

import genai_prices

from shared import log
from shared.sections import DEFAULT_MODEL
from shared.usage import NANO, Usage

logger = log.get(__name__)


def cost_nano(provider: str, model: str, usage: Usage) -> int:
    """The price of one call in nano-dollars; 0, said once, for a model that has no listed price."""
    try:
        return _listed(provider, model, usage)
    except LookupError:
        _say_unpriced(provider, model)
        return 0


def has_price(provider: str, model: str) -> bool:
    """Whether the model is on the list; that it is not is said once."""
    try:
        _listed(provider, model, Usage())
    except LookupError:
        _say_unpriced(provider, model)
        return False
    return True


def highest_cost_nano(provider: str, model: str, input_tokens: int, output_tokens: int) -> int:
    """What so many tokens cost at most, in nano-dollars: all input may be written to the provider's cache, which costs
    more. Raises LookupError for a model that has no listed price."""
    plain = _listed(provider, model, Usage(input_tokens=input_tokens, output_tokens=output_tokens))
    cached = _listed(provider, model, Usage(cache_creation_input_tokens=input_tokens, output_tokens=output_tokens))
    return max(plain, cached)


def warm_up() -> None:
    """Reads the price list, which takes a quarter of a second: at start, not while jobs run."""
    genai_prices.calc_price(genai_prices.Usage(input_tokens=1), DEFAULT_MODEL)


def _listed(provider: str, model: str, usage: Usage) -> int:
    tokens = genai_prices.Usage(
        input_tokens=usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens,
        cache_write_tokens=usage.cache_creation_input_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        output_tokens=usage.output_tokens,
    )
    return round(genai_prices.calc_price(tokens, model, provider_id=provider).total_price * NANO)


@cache
def _say_unpriced(provider: str, model: str) -> None:
    logger.warning(
        "model_has_no_price",
        provider=provider,
        model=model,
        effect="its calls are counted as free, and it is not called for jobs with a limit in money",
    )
