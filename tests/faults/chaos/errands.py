"""Which jobs are handed in: of whom, with which tools, which are cancelled. A function of the seed alone."""

import hashlib
import json
import random
from dataclasses import dataclass
from typing import Any

TENANTS = {"acme": "acme-key-of-the-chaos-run", "globex": "globex-key-of-the-chaos-run", "initech": "initech-key"}
"""Each tenant with its bearer key."""
TURNS = 3
_CANCELLED = 0.06


@dataclass(frozen=True, slots=True)
class Errand:
    """One job to be. Its `key` is its Idempotency-Key; `pays` and `files` are the keys of the chores in its script."""

    number: int
    key: str
    tenant: str
    priority: str
    prompt: str
    pays: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    cancel_after: int | None = None
    """Cancelled when it has so many turns; 0 is at once, None is never."""

    @property
    def body(self) -> dict[str, Any]:
        return {"agent": "chores", "input": self.prompt, "priority": self.priority, "metadata": {"key": self.key}}


def make_errands(seed: int, jobs: int) -> list[Errand]:
    chance = random.Random(f"errands {seed}")
    return [_errand(seed, number, chance) for number in range(1, jobs + 1)]


def _errand(seed: int, number: int, chance: random.Random) -> Errand:
    key = f"errand-{seed}-{number}"
    tools = chance.choices(["look", "file", "pay"], weights=[5, 3, 3], k=TURNS - 1)
    chores = [(name, f"{number}.{turn}") for turn, name in enumerate(tools, 1)]
    turns: list[dict[str, Any]] = [
        {"tools": [{"name": name, "input": {"key": chore}}, {"name": "look", "input": {"key": f"{chore}.too"}}]}
        for name, chore in chores
    ]
    script = {"turns": [*turns, {"text": f"Errand {number} is done."}], "latency": round(chance.uniform(0.1, 0.9), 2)}
    return Errand(
        number=number,
        key=key,
        tenant=chance.choice(list(TENANTS)),
        priority=chance.choices(["high", "standard", "low"], weights=[1, 8, 1])[0],
        prompt=f"{key}: <sim>{json.dumps(script)}</sim>",
        pays=tuple(chore for name, chore in chores if name == "pay"),
        files=tuple(chore for name, chore in chores if name == "file"),
        cancel_after=chance.randint(0, TURNS - 1) if chance.random() < _CANCELLED else None,
    )


def settings_file() -> str:
    """The tenants as the settings file has them: by the digests of their keys."""
    return "".join(
        f'[tenants.{name}]\nkey_digests = ["sha256:{hashlib.sha256(key.encode()).hexdigest()}"]\n'
        for name, key in TENANTS.items()
    )
