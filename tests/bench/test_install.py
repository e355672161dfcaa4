"""Installing peers: what fails is a reason, never an exception, and what is there is left alone."""

from pathlib import Path

import pytest

from bench import contender, install
from bench.contender import Contender, Software


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contender:
    """A Node peer whose environment would be below a folder of the test."""
    monkeypatch.setattr(contender, "PEERS", tmp_path / "peers")
    folder = tmp_path / "peer"
    folder.mkdir()
    (folder / "package.json").write_text("{}")
    software = Software(folder=folder, environment="peer", packages=("peer",), language="node")
    return Contender(software=software, name="peer", settings={})


def test_without_npm_a_node_peer_is_absent(peer: Contender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert install.install([peer]) == {"peer": "npm is not here"}
    assert install.missing(peer)


def test_what_fails_has_the_last_line_as_its_reason(peer: Contender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: "/bin/false")
    assert install.install([peer]) == {"peer": "status 1"}


def test_what_is_there_is_made_again_only_when_its_pins_change(
    peer: Contender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: "/bin/true")
    assert install.install([peer]) == {}
    assert not install.missing(peer)
    (peer.software.folder / "package.json").write_text('{"changed": true}')
    assert install.missing(peer)
