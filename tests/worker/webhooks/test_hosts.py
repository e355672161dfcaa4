"""Who gets how many of a courier's slots."""

from worker.webhooks.hosts import Hosts


def well(hosts: Hosts, *names: str) -> None:
    for name in names:
        hosts.began(name)
        hosts.ended(name, well=True, seconds=0.1)


def test_a_host_that_is_well_gets_its_cap_and_no_more() -> None:
    hosts = Hosts(slots=10, per_host=3)
    well(hosts, "a")
    for _ in range(3):
        hosts.began("a")
    room = hosts.room()
    assert (room.per_well, room.room, room.well, hosts.free) == (3, {"a": 0}, {"a"}, 7)
    hosts.ended("a", well=True, seconds=0.1)
    assert hosts.room().room == {"a": 1}


def test_a_host_that_fails_is_slow_or_is_new_gets_one_until_it_does_well() -> None:
    hosts = Hosts(slots=10, per_host=3)
    hosts.began("a")
    assert hosts.room().room == {"a": 0}
    hosts.ended("a", well=True, seconds=0.1)
    assert hosts.room().well == {"a"}
    for good, seconds in ((False, 0.1), (True, 9.0)):
        hosts.began("a")
        hosts.ended("a", well=good, seconds=seconds)
        assert (hosts.room().room, hosts.room().well, hosts.room().per_other) == ({}, frozenset(), 1)
        well(hosts, "a")


def test_a_host_that_was_not_asked_stays_what_it_was() -> None:
    hosts = Hosts(slots=8, per_host=3)
    well(hosts, "a")
    for name in "ab":
        hosts.began(name)
        hosts.ended(name, well=None, seconds=0)
    assert (hosts.room().well, hosts.free) == ({"a"}, 8)


def test_all_that_are_not_well_get_half_together() -> None:
    hosts = Hosts(slots=8, per_host=3)
    well(hosts, "well")
    assert hosts.room().others == 4
    for name in "abcd":
        hosts.began(name)
    hosts.began("well")
    assert hosts.room().others == 0
    assert hosts.free == 3, "the other half is for those that are"


def test_when_nothing_is_free_nothing_is_taken() -> None:
    hosts = Hosts(slots=2, per_host=2)
    hosts.began("a")
    hosts.began("b")
    assert (hosts.free, hosts.room().most) == (0, 0)


def test_only_so_many_hosts_are_remembered() -> None:
    hosts = Hosts()
    well(hosts, *(str(number) for number in range(400)))
    room = hosts.room()
    assert (len(room.well), room.room) == (300, {})
    assert "99" not in room.well
    assert "399" in room.well
