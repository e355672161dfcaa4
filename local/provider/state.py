"""Everything the provider remembers while it runs."""

from local.provider.buckets import Limits
from local.provider.clock import Now, monotonic
from local.provider.faults import Faults
from local.provider.ledger import Ledger
from local.provider.models import known_models
from local.provider.prompt_cache import PromptCache
from local.provider.settings import Settings


class State:
    """Limits by model, faults, prompt cache, ledger. `now` is a steady clock in seconds."""

    def __init__(self, settings: Settings, now: Now = monotonic) -> None:
        self.settings = settings
        self.models = known_models(settings.models)
        self.faults = Faults(settings.seed, now)
        self.cache = PromptCache(now)
        self.ledger = Ledger(now)
        self._now = now
        self._limits = self._full_limits()

    def limits(self, model: str) -> Limits:
        return self._limits[model]

    def reset(self) -> None:
        """As after a fresh start, but for the calls in flight and the numbering of calls."""
        self.faults.clear()
        self.cache.clear()
        self.ledger.reset()
        self._limits = self._full_limits()

    def _full_limits(self) -> dict[str, Limits]:
        settings = self.settings
        return {
            model: Limits(
                settings.requests_per_minute,
                settings.input_tokens_per_minute,
                settings.output_tokens_per_minute,
                settings.burst,
                settings.charge_refused,
                self._now,
            )
            for model in self.models
        }
