"""What a worker is made of, put together once at start."""

from collections.abc import Mapping

from shared import ids, sections
from shared.actions import Actions
from shared.catalogue import Catalogue
from shared.chain_scores import ChainScores
from shared.checkpoints import Checkpoints
from shared.endpoints import Endpoints
from shared.gate import Gate
from shared.outbox import Outbox
from shared.pool import pool_of
from shared.queue import Queue
from shared.receiver import UrlPolicy
from shared.redis_client import close, connect
from shared.retention import Janitor
from shared.settings import Settings
from worker.adoption import Adoption
from worker.agents import Agent
from worker.arq_worker import LeaseWorker
from worker.asking import Desk
from worker.chain import Chain
from worker.chain_caller import ChainCaller
from worker.executor import Executor
from worker.lease_keeper import LeaseKeeper
from worker.mcp.toolbox import Toolbox
from worker.model_call import ModelCaller, TargetClient
from worker.provider_anthropic import AnthropicProvider
from worker.readiness import ReadinessProbe
from worker.waker import Waker
from worker.webhooks.courier import Courier
from worker.webhooks.sender import Sender


class Parts:
    """Everything that one worker process holds; `owner` is its name in every lease."""

    def __init__(self, settings: Settings, agents: Mapping[str, Agent]) -> None:
        self.owner = ids.new_worker_id()
        retention_ms = settings.queue.retention_seconds * 1000
        url = settings.redis.url.get_secret_value()
        self.redis = connect(url)
        self._targets = {name: _client(name, target) for name, target in settings.targets.items()}
        chains = {name: self._chain(name, chain) for name, chain in settings.chains.items()}

        queue = Queue(self.redis, retention_ms=retention_ms, sessions=settings.sessions)
        self.gate = Gate(self.redis, self.owner, Waker(queue).answered)
        self.catalogue = Catalogue(self.redis)
        self.toolbox = Toolbox(agents)
        self._agents = agents
        self.executor = Executor(
            redis=self.redis,
            owner=self.owner,
            queue=queue,
            checkpoints=Checkpoints(self.redis),
            caller=ChainCaller(ModelCaller(self.gate, settings.worker.park_after_seconds), ChainScores(self.redis)),
            weights={name: tenant.weight for name, tenant in settings.tenants.items()},
            daily_nano={name: tenant.daily_cost_nano for name, tenant in settings.tenants.items()},
            agents=agents,
            chains=chains,
            catalogue=self.catalogue,
            desk=Desk(Actions(self.redis), settings.actions.expire_seconds * 1000, retention_ms),
            toolbox=self.toolbox,
            max_crashes=settings.queue.max_crashes,
        )
        self.keeper = LeaseKeeper(
            url,
            owner=self.owner,
            slots=settings.worker.max_in_flight,
            lease_ms=int(settings.queue.lease_seconds * 1000),
            running=self.executor.running,
            retention_ms=retention_ms,
            longest_block=settings.worker.max_block_seconds,
        )
        self.worker = LeaseWorker(
            redis=self.redis,
            queue=queue,
            executor=self.executor,
            owner=self.owner,
            slots=settings.worker.max_in_flight,
            on_strangers=Adoption(queue, self.catalogue).take_in,
            on_anew=self.keeper.look_through_soon,
        )
        self.courier = self._courier(settings.webhooks, retention_ms)
        self.janitor = Janitor(self.redis)
        self.probe = ReadinessProbe(self.redis, self._targets.values())

    async def announce(self) -> None:
        """Tells the catalogue of the agents, with the tools that they have now."""
        await self.catalogue.announce([self.toolbox.shown(agent).entry() for agent in self._agents.values()])

    async def announce_change(self) -> None:
        """The same, once an MCP server has told of tools that were not known."""
        await self.toolbox.changed.wait()
        self.toolbox.changed.clear()
        await self.announce()

    def _chain(self, name: str, chain: sections.Chain) -> Chain:
        targets = tuple(self._targets[one] for one in chain.targets)
        return Chain(name, targets, chain.drill_percent, chain.fallback_after_seconds)

    def _courier(self, settings: sections.WebhookSettings, retention_ms: int) -> Courier:
        return Courier(
            Outbox(self.redis, retention_ms=retention_ms),
            Endpoints(self.redis),
            Sender(allow_private_networks=settings.allow_private_networks),
            UrlPolicy(settings.allow_http, settings.allow_private_networks),
            keep_answers=settings.keep_answers,
        )

    async def close(self) -> None:
        for target in self._targets.values():
            await target.provider.close()
        await self.gate.close()
        await close(self.redis)


def _client(name: str, target: sections.Target) -> TargetClient:
    key = target.api_key.get_secret_value() if target.api_key else ""
    provider = AnthropicProvider(
        model=target.model, base_url=str(target.base_url), api_key=key, max_connections=target.max_in_flight
    )
    return TargetClient(name, target.provider, target.model, pool_of(target), provider)
