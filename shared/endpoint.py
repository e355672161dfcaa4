"""A receiver of webhooks: where it is, and the secrets that deliveries to it are signed with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from shared.webhook import JOB_URLS


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Its record. Times are Redis TIME in milliseconds; `disabled_ms` is when it answered 410."""

    id: str
    url: str
    description: str
    created_ms: int
    disabled_ms: int | None
    secret: SecretStr = field(compare=False)
    prior: SecretStr | None = field(compare=False)
    prior_until_ms: int

    @classmethod
    def from_hash(cls, endpoint_id: str, record: Mapping[str, str]) -> "Endpoint":
        return cls(
            id=endpoint_id,
            url=record["url"],
            description=record["description"],
            created_ms=int(record["created_ms"]),
            disabled_ms=int(record["disabled_ms"]) if record.get("disabled_ms") else None,
            secret=SecretStr(record["secret"]),
            prior=SecretStr(record["prior"]) if record.get("prior") else None,
            prior_until_ms=int(record.get("prior_until_ms") or 0),
        )

    @property
    def for_job_urls(self) -> bool:
        return self.id == JOB_URLS

    def secrets(self, now_ms: int) -> list[SecretStr]:
        """What signs now: after a rotation the secret before does, too, for a while."""
        old = [self.prior] if self.prior and now_ms < self.prior_until_ms else []
        return [self.secret, *old]
