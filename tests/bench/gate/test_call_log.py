"""What workers write down is what is read, also when one was killed in the middle of a line."""

from pathlib import Path

from bench.gate.call_log import IN_FLIGHT, WAITING, CallLog, read
from bench.gate.job import Job, Outcome
from bench.gate.order import WORK, Orders
from tests.bench.gate.provider import Scripted


def job() -> Job:
    return Job(Orders("1", "one", WORK).next(), Scripted())


def test_lines_come_back(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls", began=100.0)
    one = job()
    one.asked, one.started, one.attempts = 101.0, 103.0, 2
    log.add(one, 104.5, Outcome.ANSWERED)
    [record] = read([tmp_path / "calls"])
    assert (record.tenant, record.input_tokens) == ("one", one.order.input_tokens)
    assert (record.asked, record.started, record.ended, record.attempts) == (1.0, 3.0, 4.5, 2)
    assert (record.outcome, record.wait) == (Outcome.ANSWERED, 2.0)


def test_a_line_cut_by_a_kill_is_left_out(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls", began=0.0)
    log.add(job(), 1.0, Outcome.ANSWERED)
    with (tmp_path / "calls").open("a") as file:
        file.write('{"tenant": "on')
    assert len(read([tmp_path / "calls"])) == 1


def test_the_unfinished_wait_or_are_under_way(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls", began=0.0)
    waiting, calling = job(), job()
    calling.calling = True
    log.unfinished(waiting, 1.0)
    log.unfinished(calling, 1.0)
    assert [record.outcome for record in read([tmp_path / "calls"])] == [WAITING, IN_FLIGHT]
