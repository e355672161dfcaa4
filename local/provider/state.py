"""Everything the provider remembers while it runs."""

from typing import Any

from local.provider.account import Account
from local.provider.clock import Now, monotonic
from local.provider.errors import not_found
from local.provider.faults import Faults
from local.provider.ledger import Ledger
from local.provider.limits import ForeignUse, Limits, LimitsChange, Refusal
from local.provider.models import known_models
from local.provider.prompt_cache import PromptCache
from local.provider.settings import Settings


class State:
    """Limits and accounts by model, faults, prompt cache, ledger. `now` is a steady clock in seconds."""

    def __init__(self, settings: Settings, now: Now = monotonic) -> None:
        self.settings = settings
        self.models = known_models(settings.models)
        self.faults = Faults(settings.seed, now)
        self.cache = PromptCache(now)
        self.ledger = Ledger(now)
        self._now = now
        self._open_books()

    def limits(self, model: str) -> Limits:
        return self._limits[model]

    def admit(self, model: str, user: str, input_tokens: int) -> Refusal | None:
        """Debit a request and its input (without cache reads), or say what has no room."""
        refusal = self._limits[model].admit(input_tokens)
        if refusal is None:
            self._accounts[model].admitted(user, input_tokens)
        else:
            self._accounts[model].turned_away(user, refusal.dimension)
        return refusal

    def produce(self, model: str, user: str, output_tokens: int) -> None:
        """Debit output as it leaves."""
        self._limits[model].produce(output_tokens)
        self._accounts[model].of(user).output_tokens += output_tokens

    def overloaded(self, model: str) -> None:
        """A 529 was answered."""
        self._accounts[model].overloaded += 1

    def change_limits(self, change: LimitsChange) -> None:
        """Raises ApiError 404 for a model that is not known."""
        for limits in self._limits_of(change.model):
            limits.change(change)

    def let_in(self, foreign: ForeignUse) -> None:
        """Raises ApiError 404 for a model that is not known."""
        for limits in self._limits_of(foreign.model):
            limits.let_in(foreign)

    def books(self) -> dict[str, Any]:
        """The body of `GET /_sim/books`. `seconds` since the books were opened: at the start or the last reset."""
        models = {
            model: {"dimensions": limits.books(), **self._accounts[model].books()}
            for model, limits in self._limits.items()
        }
        return {"seconds": self._now() - self._opened, "models": models}

    def reset(self) -> None:
        """As after a fresh start, but for the calls in flight and the numbering of calls."""
        self.faults.clear()
        self.cache.clear()
        self.ledger.reset()
        self._open_books()

    def _open_books(self) -> None:
        settings = self.settings
        self._opened = self._now()
        self._accounts = {model: Account() for model in self.models}
        self._limits = {
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

    def _limits_of(self, model: str | None) -> list[Limits]:
        if model is not None and model not in self._limits:
            raise not_found(f"model: {model}")
        return list(self._limits.values()) if model is None else [self._limits[model]]
