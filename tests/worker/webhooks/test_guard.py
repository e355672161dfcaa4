"""Which addresses are connected to: those that were checked, and no others."""

import asyncio
import socket
import threading
from typing import Any

import httpcore2
import pytest

from shared.receiver import Receiver
from tests.shared.test_receiver import NOT_PUBLIC
from tests.worker.webhooks.listening import listening
from worker.webhooks.guard import AddressRefused, GuardedBackend, NameNotFound, Resolve, resolve
from worker.webhooks.sender import Sender


def standing_for(*addresses: str) -> Resolve:
    async def lookup(host: str, port: int) -> list[str]:
        return list(addresses)

    return lookup


class Inner(httpcore2.AsyncNetworkBackend):
    """Connects to nobody; notes whom it was to connect to, and fails at the first so many."""

    def __init__(self, failures: int = 0) -> None:
        self.asked: list[str] = []
        self.failures = failures

    async def connect_tcp(self, host: str, *rest: Any, **options: Any) -> Any:
        self.asked.append(host)
        if len(self.asked) <= self.failures:
            raise httpcore2.ConnectError
        return "a stream"


def guarded(*addresses: str, failures: int = 0, **options: Any) -> tuple[GuardedBackend, Inner]:
    backend = GuardedBackend(**({"allow_private_networks": False} | options), lookup=standing_for(*addresses))
    backend._inner = inner = Inner(failures)  # type: ignore[assignment]
    return backend, inner


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_a_name_that_stands_for_an_address_that_is_not_public_is_not_connected_to(address: str) -> None:
    backend, inner = guarded(address)
    with pytest.raises(AddressRefused):
        await backend.connect_tcp("innocent.example", 443)
    assert inner.asked == []


async def test_one_bad_address_among_good_ones_is_enough() -> None:
    backend, inner = guarded("8.8.8.8", "2606:4700::1111", "10.0.0.1")
    with pytest.raises(AddressRefused):
        await backend.connect_tcp("innocent.example", 443)
    assert inner.asked == []


async def test_what_was_checked_is_what_is_connected_to() -> None:
    """The name is asked for once: what it stands for a moment later changes nothing."""
    answers = [["8.8.8.8"], ["127.0.0.1"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    backend = GuardedBackend(allow_private_networks=False, lookup=rebinding)
    backend._inner = inner = Inner()  # type: ignore[assignment]
    assert await backend.connect_tcp("rebinding.example", 443) == "a stream"
    assert inner.asked == ["8.8.8.8"]
    with pytest.raises(AddressRefused):
        await backend.connect_tcp("rebinding.example", 443)
    assert inner.asked == ["8.8.8.8"]


async def test_the_next_address_is_tried_and_in_the_end_the_failure_is_told() -> None:
    backend, inner = guarded("8.8.8.8", "8.8.4.4", failures=1)
    assert await backend.connect_tcp("two.example", 443) == "a stream"
    assert inner.asked == ["8.8.8.8", "8.8.4.4"]
    backend, inner = guarded(*["8.8.8.8"] * 9, failures=9)
    with pytest.raises(httpcore2.ConnectError):
        await backend.connect_tcp("many.example", 443)
    assert len(inner.asked) == 4


async def test_a_name_without_addresses_is_not_found() -> None:
    backend, _ = guarded()
    with pytest.raises(NameNotFound):
        await backend.connect_tcp("none.example", 443)


async def test_private_addresses_are_connected_to_where_they_are_allowed() -> None:
    backend, inner = guarded("10.0.0.1", allow_private_networks=True)
    await backend.connect_tcp("inside.example", 443)
    assert inner.asked == ["10.0.0.1"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "::1", "0"])
async def test_whatever_the_system_makes_of_a_host_nothing_reaches_loopback(host: str) -> None:
    """Even if such a host got past the check of URLs: what is checked here is what the system's resolver says."""
    async with listening() as there:
        got = await Sender(allow_private_networks=False).post(Receiver("http", host, there.port, "/"), {}, b"{}")
    assert got.error in ("address_not_allowed", "name_not_found")
    assert there.connections == 0


async def test_lookups_are_real() -> None:
    assert await resolve("127.0.0.1", 80) == ["127.0.0.1"]
    with pytest.raises(NameNotFound):
        await resolve("no-such-name.invalid", 80)
    with pytest.raises(NameNotFound):
        await resolve("a" * 70 + ".invalid", 80)


async def test_a_name_server_that_keeps_silent_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    silence, real = threading.Event(), socket.getaddrinfo

    def lookup(host: str, *rest: Any, **options: Any) -> Any:
        if host == "silent.example":
            silence.wait(20)
        return real("127.0.0.1", *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    try:
        waiting = [asyncio.create_task(resolve("silent.example", 80)) for _ in range(60)]
        assert await asyncio.wait_for(resolve("quick.example", 80), 5) == ["127.0.0.1"]
        assert not any(task.done() for task in waiting)
    finally:
        silence.set()
        await asyncio.gather(*waiting)
