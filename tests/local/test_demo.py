"""The demo as a user runs it: every job succeeds and it says so, or it says what did not, and nothing is left."""

import os
import signal

import httpx2
from rich.console import Console

from local.environment import EXAMPLES
from local.live import JOB_COST, LONGEST_ANSWER, most
from local.prompts import PROMPTS
from local.provider_process import ProviderProcess
from local.receiver import Receiver
from local.report import report, report_webhooks
from local.tally import tally, why_not
from shared.sections import Chain, Target
from shared.webhook import new_secret
from tests.local.processes import assert_gone, begin, child, children, read_until, run
from worker.agents import registry


def test_every_agent_succeeds():
    done = run("demo", "--jobs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 of 6 jobs succeeded" in done.stdout
    assert "Nothing was spent" in done.stdout
    assert "6 webhooks came and verified" in done.stdout
    for agent in PROMPTS:
        assert f"\n{agent}" in done.stdout


def test_jobs_that_fail_are_named_with_the_reason():
    done = run("demo", "--jobs", "1", "--model", "no-such-model")
    assert done.returncode == 1
    assert "3 of the jobs did not succeed" in done.stdout
    assert done.stdout.count("not_found_error: model: no-such-model") == 2
    assert done.stdout.count("budget_exceeded: ") == 1, "without a price no limit in money can be kept"
    assert "0 of 3 jobs succeeded" in done.stdout


def test_what_is_not_signed_as_it_should_be_is_not_counted():
    with Receiver(secret=new_secret()) as receiver:
        headers = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
        answer = httpx2.post(receiver.url, content=b"{}", headers=headers, trust_env=False)
    assert (answer.status_code, receiver.events, receiver.refused) == (400, {}, 1)
    with open(os.devnull, "w") as nowhere:
        assert report_webhooks([], receiver, Console(file=nowhere)) == 1


def test_ctrl_c_ends_all_of_it_without_a_traceback():
    process = begin("demo", "--jobs", "50")
    said = read_until(process, "running")
    started = children(process.pid)
    assert len(started) >= 5
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=15)
    assert process.returncode == 130, said + rest
    assert "Traceback" not in rest
    assert_gone(started)


def test_ctrl_c_while_it_starts():
    process = begin("demo")
    while not (started := children(process.pid)):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=15)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert_gone(started)


def test_an_api_that_dies_is_named():
    process = begin("demo", "--jobs", "50")
    read_until(process, "running")
    os.kill(child(process.pid, "-m api"), signal.SIGKILL)
    said, _ = process.communicate(timeout=15)
    assert process.returncode == 1
    assert "api was ended by SIGKILL" in said


def test_live_without_a_key_says_what_to_do():
    done = run("demo", "--live")
    assert done.returncode == 2
    assert "export ANTHROPIC_API_KEY" in done.stderr


def test_live_is_agreed_to_first():
    done = run("demo", "--live", ANTHROPIC_API_KEY="any")
    assert done.returncode == 2
    assert "at most" in done.stdout
    assert "--yes" in done.stderr


def test_live_goes_where_the_settings_say(provider: ProviderProcess):
    done = run("demo", "--live", "--yes", "--jobs", "1", ANTHROPIC_API_KEY="any", ANTHROPIC_BASE_URL=provider.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "They cost $" in done.stdout
    assert "simulated" not in done.stdout
    assert provider.stats()["completed"] >= 3


def test_wrong_settings_are_listed():
    done = run("demo", "--live", "--yes", ANTHROPIC_API_KEY="any", SLUICE_NONSENSE="1")
    assert done.returncode == 2
    assert "SLUICE_NONSENSE" in done.stderr


def test_help_and_wrong_use():
    assert "demo" in run().stdout
    assert run().returncode == 0
    assert run("demo", "--jobs", "0").returncode == 2


def test_the_most_it_may_cost_grows_with_the_jobs():
    targets = [Target()]
    assert most(targets, 6) == 6 * most(targets, 1)
    assert most(targets, 1) > JOB_COST


def test_no_shipped_agent_answers_at_greater_length_than_is_reckoned_with():
    agents = registry.load(EXAMPLES, {"default": Chain(targets=["default"])})
    assert agents.keys() == PROMPTS.keys()
    assert max(agent.max_output_tokens for agent in agents.values()) <= LONGEST_ANSWER


def test_each_way_to_end_has_its_reason():
    assert why_not(job("succeeded")) is None
    assert why_not(job("failed", error={"code": "agent_error", "message": "boom"})) == "failed: agent_error: boom"
    stopped = {"reason": "max_turns", "message": "It has had 2 turns."}
    assert why_not(job("incomplete", incomplete_details=stopped)) == "incomplete: max_turns: It has had 2 turns."
    assert why_not(job("incomplete", incomplete_details=stopped | {"message": None})) == "incomplete: max_turns"
    assert why_not(job("queued", wait_reason="provider_outage")) == "still queued: provider_outage"
    assert why_not(job("running")) == "still running"


def test_the_tally_adds_up():
    total = tally([job("succeeded"), job("failed"), job("queued"), job("running"), job("incomplete")])
    assert (total.queued, total.running, total.done, total.failed, total.jobs) == (1, 1, 1, 2, 5)
    assert (total.turns, total.tokens, str(total.cost)) == (10, 75, "0.005000")


def test_one_job_that_did_not_succeed_is_a_failure():
    console = Console(record=True, width=100, quiet=True)
    assert report([job("succeeded")], console, live=False) == 0
    assert report([job("succeeded"), job("incomplete")], console, live=False) == 1


def job(status, **fields):
    """A job as the api shows it."""
    usage = {"turns": 2, "tool_calls": 1, "cost_usd": "0.001000", "input_tokens": 10, "output_tokens": 5}
    cached = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    times = {"created_at": "2026-01-31T12:00:00.000Z", "finished_at": None}
    return {
        "id": "job_1",
        "agent": "assistant",
        "status": status,
        "input": "Hello",
        "output": "Good day",
        "error": None,
        "incomplete_details": None,
        "wait_reason": None,
        "usage": usage | cached,
        **times,
        **fields,
    }
