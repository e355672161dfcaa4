"""A provider that does one thing after the other, for the contenders' tests; implements `worker.provider.Provider`."""

from collections.abc import Callable

from shared.pool import Headroom
from shared.usage import Usage
from worker.provider import Answer, ModelRequest, ProviderError, unheard


def answer(output_tokens: int = 20) -> Answer:
    return Answer(
        content=[],
        stop_reason="end_turn",
        usage=Usage(input_tokens=100, output_tokens=output_tokens),
        model="claude-sonnet-4-6",
        request_id=None,
    )


class Scripted:
    """When the script has run out, everything is answered."""

    def __init__(self, *steps: Answer | ProviderError) -> None:
        self._steps = list(steps)
        self.asked = 0

    async def stream(
        self,
        request: ModelRequest,
        on_text: Callable[[str], None],
        on_headroom: Callable[[Headroom], None],
        on_usage: Callable[[Usage], None] = unheard,
    ) -> Answer:
        self.asked += 1
        step = self._steps.pop(0) if self._steps else answer()
        if isinstance(step, ProviderError):
            raise step
        return step

    async def probe(self) -> None:
        pass

    async def close(self) -> None:
        pass
