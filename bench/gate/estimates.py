"""How many output tokens a call will need: the same estimate for every contender that has none of its own."""

_FIRST_GUESS = 300.0
_WEIGHT = 0.05


class Estimates:
    """The exponentially weighted mean of each kind of call, in one process."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def output_tokens(self, kind: str) -> float:
        return self._means.get(kind, _FIRST_GUESS)

    def learn(self, kind: str, output_tokens: int) -> None:
        before = self._means.get(kind, float(output_tokens))
        self._means[kind] = before + _WEIGHT * (output_tokens - before)
