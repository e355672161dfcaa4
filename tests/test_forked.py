"""A forked service is what `python -m` would be: its words, its environment, its end."""

import signal

import pytest

from local.redis_server import RedisServer
from local.service_process import ServiceError, ServiceProcess
from tests.forked import ForkedService

WRONG = {"SLUICE_QUEUE__MAX_DEPTH": "0", "SLUICE_NONSENSE": "1"}


@pytest.fixture
def settings(redis_server: RedisServer) -> dict[str, str]:
    return {"REDIS_URL": redis_server.url, "SLUICE_API__PORT": "0", "SLUICE_WORKER__HTTP_PORT": "0"}


@pytest.mark.parametrize("part", ["api", "worker"])
def test_one_that_does_not_start_says_the_same(part: str) -> None:
    said = []
    for service in (ForkedService(part, WRONG), ServiceProcess(part, WRONG)):
        with pytest.raises(ServiceError) as caught:
            service.start()
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "MAX_DEPTH" in said[0].upper()


def test_its_exit_code_is_its_own(settings: dict[str, str]) -> None:
    with ForkedService("api", settings) as leaves, ForkedService("api", settings) as dies:
        dies.signal(signal.SIGKILL)
        assert dies.wait(20) == -signal.SIGKILL
        assert leaves.wait(0) is None
        assert leaves.is_running
        leaves.signal(signal.SIGTERM)
        assert leaves.wait(20) == 0
        assert not leaves.is_running
