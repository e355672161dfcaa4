"""How chains do, for people and for alerts: their targets' scores, and whether the second could stand in now."""

from collections.abc import Iterable

from api.chain_schemas import ChainResource, ChainTargetResource
from api.parts import Parts
from shared import metrics
from shared.chain_scores import Score, Verdict, judge
from shared.pool import pool_of
from shared.sections import Chain
from shared.usage import dollars


async def chains(parts: Parts) -> list[ChainResource]:
    """Every chain of the settings. Raises StoreUnavailable."""
    return [await _resource(parts, name, chain) for name, chain in parts.settings.chains.items()]


def measure(chains: Iterable[ChainResource]) -> None:
    """Sets the gauge of each of these that has a fallback; there is none for others."""
    metrics.FALLBACK_READY.clear()
    for chain in chains:
        if chain.targets[1:]:
            metrics.FALLBACK_READY.labels(chain.chain).set(chain.fallback_ready)


async def _resource(parts: Parts, name: str, chain: Chain) -> ChainResource:
    scores = {target: await parts.chain_scores.read(name, target) for target in chain.targets}
    verdict = await _verdict(parts, chain, scores)
    return ChainResource(
        chain=name,
        targets=[_target(target, score) for target, score in scores.items()],
        drill_percent=chain.drill_percent,
        fallback_ready=verdict.ready,
        reason=verdict.reason,
    )


async def _verdict(parts: Parts, chain: Chain, scores: dict[str, Score]) -> Verdict:
    """What the second target has shown counts for nothing where it could not help, or not now."""
    if not chain.targets[1:]:
        return Verdict(False, "there is no second target")
    first, second = chain.targets[:2]
    pool = pool_of(parts.settings.targets[second])
    if parts.settings.targets[first].pool_name == pool.name:
        return Verdict(False, f"{second}: it shares the pool {pool.name} with {first}, and so its every want of room")
    if (await parts.gate_inspector.look(pool))["breaker"] != "closed":
        return Verdict(False, f"{second}: its provider fails now")
    return judge(second, scores[second])


def _target(name: str, score: Score) -> ChainTargetResource:
    return ChainTargetResource(
        target=name,
        calls=score.calls,
        success=_share(score.success),
        latency_ms=None if score.milliseconds is None else round(score.milliseconds),
        cost_usd=None if score.cost_nano is None else dollars(round(score.cost_nano)),
        tool_calls=score.tool_calls,
        tool_calls_valid=_share(score.valid_tool_calls),
        last_trouble=score.last_trouble,
    )


def _share(share: float | None) -> float | None:
    return None if share is None else round(share, 3)
