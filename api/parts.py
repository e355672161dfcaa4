"""What a request needs, made once at start."""

from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from api.admission import Admission
from api.auth import Authenticator
from api.directory import AgentDirectory
from api.event_stream import Streams
from api.followers import Followers
from api.forks import Forks
from api.receivers import Receivers
from shared import ids
from shared.actions import Actions
from shared.catalogue import Catalogue
from shared.chain_scores import ChainScores
from shared.deliveries import Deliveries
from shared.endpoints import Endpoints
from shared.event_log import EventLog
from shared.forecast import Forecasts
from shared.gate_inspector import GateInspector
from shared.inspector import Inspector
from shared.mailbox import Mailbox
from shared.overview import Overview
from shared.pool import Pool, pool_of
from shared.queue import Queue
from shared.receiver import UrlPolicy
from shared.redis_client import Redis
from shared.sessions import Sessions
from shared.settings import Settings


@dataclass
class Parts:
    settings: Settings
    redis: Redis
    followers: Followers = field(default_factory=lambda: Followers(ids.new_process_name()))
    draining: bool = False

    def __post_init__(self) -> None:
        self.queue = Queue(
            self.redis,
            retention_ms=self.settings.queue.retention_seconds * 1000,
            sessions=self.settings.sessions,
        )
        self.sessions = Sessions(self.redis)
        self.inspector = Inspector(self.redis)
        self.overview = Overview(self.redis)
        self.events = EventLog(self.redis)
        self.actions = Actions(self.redis)
        self.mailbox = Mailbox(self.redis)
        self.streams = Streams(self.events, self.followers, self.settings.api.max_streams)
        self.directory = AgentDirectory(Catalogue(self.redis), Forecasts(self.redis), self.settings.tenants)
        self.endpoints = Endpoints(self.redis)
        self.deliveries = Deliveries(self.redis)
        webhooks = self.settings.webhooks
        self.receivers = Receivers(self.endpoints, UrlPolicy(webhooks.allow_http, webhooks.allow_private_networks))
        self.admission = Admission(
            self.queue, self.directory, self.receivers, self.settings.queue, self.settings.tenants
        )
        self.forks = Forks(self.inspector, self.directory, self.admission)
        self.gate_inspector = GateInspector(self.redis)
        self.chain_scores = ChainScores(self.redis)
        self.pools = _pools(self.settings)
        self.authenticator = Authenticator(self.settings.tenants)


def _pools(settings: Settings) -> dict[str, tuple[Pool, list[str]]]:
    """Each pool, with the names of its targets."""
    pools: dict[str, tuple[Pool, list[str]]] = {}
    for name, target in settings.targets.items():
        pools.setdefault(target.pool_name, (pool_of(target), []))[1].append(name)
    return pools


def parts_of(request: Request) -> Parts:
    return cast(Parts, request.app.state.parts)


async def _parts(request: Request) -> Parts:  # async: FastAPI sends others through a thread
    return parts_of(request)


PartsOf = Annotated[Parts, Depends(_parts)]
