"""What became of the calls of one model, user by user: counted at the moment it happens, not when a call ends."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Use:
    """Of one user. Output is counted as it is produced."""

    requests: int = 0
    """Admitted."""
    input_tokens: int = 0
    """Without cache reads."""
    output_tokens: int = 0
    refused: int = 0
    """429s by a limit."""


@dataclass(slots=True)
class Account:
    """A user is whoever a call names (`metadata.user_id`); the others are one user without a name."""

    refused: Counter[str] = field(default_factory=Counter)
    """429s by the dimension that had no room."""
    overloaded: int = 0
    """529s."""
    users: dict[str, Use] = field(default_factory=dict)

    def of(self, user: str) -> Use:
        return self.users.setdefault(user, Use())

    def admitted(self, user: str, input_tokens: int) -> None:
        use = self.of(user)
        use.requests += 1
        use.input_tokens += input_tokens

    def turned_away(self, user: str, dimension: str) -> None:
        self.refused[dimension] += 1
        self.of(user).refused += 1

    def books(self) -> dict[str, Any]:
        return {
            "refused": dict(self.refused),
            "overloaded": self.overloaded,
            "users": {name: asdict(use) for name, use in self.users.items()},
        }
