"""The link: carries bytes, and breaks in each of its ways."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from local.link import Link
from local.redis_server import RedisServer
from tests.waiting import until


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture
def link(server: RedisServer) -> Iterator[Link]:
    with Link(server.port) as running:
        yield running


def dial(link: Link, timeout: float = 5) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=timeout)


def ask(connection: socket.socket, command: str) -> str:
    """One command and its one-line answer; '' when the connection has ended instead."""
    try:
        connection.sendall(command.encode() + b"\r\n")
        return connection.recv(1000).decode()
    except ConnectionError:
        return ""


def test_it_carries_both_ways(link: Link) -> None:
    with closing(dial(link)) as connection:
        assert ask(connection, "PING") == "+PONG\r\n"
        assert ask(connection, "ECHO again") == "$5\r\nagain\r\n"
        assert link.connections == 1


async def test_it_forgets_a_connection_that_was_closed(link: Link) -> None:
    with closing(dial(link)) as connection:
        ask(connection, "PING")
    await until(lambda: link.connections == 0)


def test_it_carries_much_and_quickly_enough_for_the_other_side(link: Link) -> None:
    payload = "x" * 3_000_000
    with closing(dial(link)) as connection, connection.makefile("rb") as answers:
        connection.sendall(f"*2\r\n$4\r\nECHO\r\n${len(payload)}\r\n{payload}\r\n".encode())
        assert answers.readline() == b"$3000000\r\n"
        assert answers.readline() == payload.encode() + b"\r\n"


def test_a_cut_ends_every_connection_and_new_ones_are_welcome(link: Link) -> None:
    with closing(dial(link)) as one, closing(dial(link)) as other:
        assert ask(one, "PING")
        assert ask(other, "PING")
        link.cut()
        assert link.connections == 0
        assert ask(one, "PING") == ""
        assert ask(other, "PING") == ""
    with closing(dial(link)) as another:
        assert ask(another, "PING") == "+PONG\r\n"


def test_it_refuses_and_accepts_again_on_the_same_port(link: Link) -> None:
    with closing(dial(link)) as before:
        assert ask(before, "PING")
        link.refuse()
        assert ask(before, "PING") == ""
    with pytest.raises(ConnectionRefusedError):
        dial(link)
    link.accept()
    link.accept()
    with closing(dial(link)) as after:
        assert ask(after, "PING") == "+PONG\r\n"


def test_in_silence_nothing_arrives_and_then_everything_does(link: Link) -> None:
    with closing(dial(link)) as before:
        assert ask(before, "PING")
        link.silence()
        with closing(dial(link)) as during:
            for connection in (before, during):
                connection.settimeout(0.2)
                connection.sendall(b"ECHO late\r\n")
                with pytest.raises(TimeoutError):
                    connection.recv(1000)
                connection.settimeout(5)
            link.speak()
            assert before.recv(1000) == b"$4\r\nlate\r\n"
            assert during.recv(1000) == b"$4\r\nlate\r\n"


def test_a_silent_link_can_be_cut(link: Link) -> None:
    with closing(dial(link)) as connection:
        assert ask(connection, "PING")
        link.silence()
        connection.sendall(b"ECHO never\r\n")
        link.cut()
        assert connection.recv(1000) == b""


def test_stranded_connections_never_hear_again_and_new_ones_do(link: Link) -> None:
    with closing(dial(link)) as before:
        assert ask(before, "PING")
        link.strand()
        before.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ask(before, "PING")
        with closing(dial(link)) as after:
            assert ask(after, "PING") == "+PONG\r\n"
        link.cut()
        before.settimeout(5)
        assert before.recv(1000) == b""


def test_a_lost_answer_is_lost_after_the_work_was_done(link: Link) -> None:
    lost = link.lose_answer(to=b"INCR counted")
    with closing(dial(link)) as bystander, closing(dial(link)) as connection:
        assert ask(bystander, "PING") == "+PONG\r\n"
        assert not lost.is_set()
        assert ask(connection, "INCR counted") == ""
        assert lost.wait(5)
        assert ask(bystander, "GET counted") == "$1\r\n1\r\n"
    with closing(dial(link)) as again:
        assert ask(again, "INCR counted") == ":2\r\n", "it happens once"


def test_two_wishes_are_two_lost_answers(link: Link) -> None:
    both: list[threading.Event] = [link.lose_answer(to=b"PING"), link.lose_answer(to=b"PING")]
    for lost in both:
        with closing(dial(link)) as connection:
            assert ask(connection, "PING") == ""
            assert lost.wait(5)


def test_with_nobody_at_the_other_end_a_connection_ends_at_once() -> None:
    with RedisServer() as gone, Link(gone.port) as link:
        gone.kill()
        with closing(dial(link)) as connection:
            assert ask(connection, "PING") == ""
        gone.start()
        with closing(dial(link)) as connection:
            assert ask(connection, "PING") == "+PONG\r\n"


def test_closing_leaves_nothing() -> None:
    threads = threading.active_count()
    with RedisServer() as server, Link(server.port) as link, closing(dial(link)) as connection:
        ask(connection, "PING")
        link.close()
        assert connection.recv(1) == b""
    link.close()
    assert threading.active_count() == threads
