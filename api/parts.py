"""What a request needs, made once at start."""

from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from api.admission import Admission
from api.auth import Authenticator
from api.directory import AgentDirectory
from api.followers import Followers
from shared.catalogue import Catalogue
from shared.inspector import Inspector
from shared.queue import Queue
from shared.redis_client import Redis
from shared.settings import Settings


@dataclass
class Parts:
    settings: Settings
    redis: Redis
    followers: Followers = field(default_factory=Followers)
    draining: bool = False

    def __post_init__(self) -> None:
        self.queue = Queue(self.redis, retention_ms=self.settings.queue.retention_seconds * 1000)
        self.inspector = Inspector(self.redis)
        self.directory = AgentDirectory(Catalogue(self.redis))
        self.admission = Admission(self.queue, self.directory, self.settings.queue, self.settings.tenants)
        self.authenticator = Authenticator(self.settings.tenants)


def _parts(request: Request) -> Parts:
    return cast(Parts, request.app.state.parts)


def _tenant(request: Request) -> str:
    return _parts(request).authenticator.tenant(request.headers.get("authorization"))


PartsOf = Annotated[Parts, Depends(_parts)]
TenantOf = Annotated[str, Depends(_tenant)]
