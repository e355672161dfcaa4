"""Steering real jobs: what is said to one in mid-run is heard, whatever dies."""

import json
from typing import Any

import redis as redis_sync

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from shared import clock
from tests.prompts import conversation, scripted
from tests.stack import Stack, stack

OBEY = 'Stop that. <sim>{"turns": [{"text": "As you wish."}]}</sim>'


def slowly(*turns: dict[str, Any], seconds: float = 1.0) -> str:
    """A conversation whose first answer takes so long."""
    first, *rest = turns
    return scripted(turns=[first | {"latency": seconds}, *rest])


def call(name: str, **given: Any) -> dict[str, Any]:
    return {"tools": [{"name": name, "input": given}]}


def say(running: Stack, job_id: str, content: str = OBEY, status: int = 202) -> dict[str, Any]:
    answer = running.http.post(f"/v1/jobs/{job_id}/messages", json={"content": content})
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


def transcript(running: Stack, job_id: str) -> dict[str, Any]:
    body: dict[str, Any] = running.http.get(f"/v1/jobs/{job_id}/turns").json()
    return body


def test_what_is_said_in_mid_run_is_heard_in_the_next_turn(running: Stack, simulated: ProviderProcess) -> None:
    prompt = slowly(call("broken", depth=1), {"text": "Not heard."})
    job_id = running.submit("effects", prompt)
    running.until(job_id, "running")
    said = say(running, job_id)

    job = running.finished(job_id)

    assert (job["status"], job["output"], job["usage"]["turns"]) == ("succeeded", "As you wish.", 2)
    (heard,) = transcript(running, job_id)["messages"]
    assert (heard["id"], heard["content"], heard["after_turn"]) == (said["id"], OBEY, 1)
    assert len(conversation(simulated.calls(), prompt)) == 2
    told = [event["type"] for event in running.http.get(f"/v1/jobs/{job_id}/events").json()["data"]]
    assert told.index("message.received") < told.index("turn.completed") < told.index("message.heard")
    assert told.index("tool.completed") < told.index("message.heard")


def test_a_job_that_would_have_ended_goes_on(running: Stack) -> None:
    job_id = running.submit("effects", slowly({"text": "That was all."}))
    running.until(job_id, "running")
    say(running, job_id)

    job = running.finished(job_id)

    assert (job["output"], job["usage"]["turns"]) == ("As you wish.", 2)


def test_one_that_waits_for_a_person_hears_it_after_that(running: Stack) -> None:
    job_id = running.submit("effects", scripted(turns=[call("erase", key="effects:said"), {"text": "Not heard."}]))
    (action,) = running.asked(job_id)
    say(running, job_id)
    running.decide(action, "deny")

    assert running.finished(job_id)["output"] == "As you wish."
    assert [one["after_turn"] for one in transcript(running, job_id)["messages"]] == [1]
    assert say(running, job_id, status=409)["code"] == "already_finished"


def test_a_worker_killed_right_after_it_was_said_takes_nothing_with_it(provider: ProviderProcess) -> None:
    settings = {"SLUICE_WORKER__AGENTS": json.dumps(["tests.agents.effects"]), "SLUICE_QUEUE__LEASE_SECONDS": "2"}
    with RedisServer() as server, stack(server.url, provider.url, **settings) as one:
        job_id = one.submit("effects", slowly({"text": "Not heard."}, seconds=5))
        one.until(job_id, "running")
        said = say(one, job_id)
        one.workers[0].kill()
        one.add_worker()

        job = one.finished(job_id)

        assert (job["status"], job["output"]) == ("succeeded", "As you wish.")
        (heard,) = transcript(one, job_id)["messages"]
        assert (heard["id"], heard["after_turn"]) == (said["id"], 0)


def test_a_fork_buys_only_what_is_new(running: Stack, simulated: ProviderProcess) -> None:
    prompt = scripted(turns=[*[call("broken", depth=depth) for depth in (1, 2, 3)], {"text": "That is all."}])
    old = running.finished(running.submit("effects", prompt))
    assert (old["status"], len(conversation(simulated.calls(), prompt))) == ("succeeded", 4)

    fork = running.client.fork(old["id"], 2)
    job = running.finished(fork["id"])

    assert (job["status"], job["output"]) == ("succeeded", "That is all.")
    assert (job["usage"]["turns"], job["usage"]["tool_calls"]) == (2, 1)
    assert len(conversation(simulated.calls(), prompt)) == 6
    before, after = (transcript(running, one)["data"] for one in (old["id"], job["id"]))
    assert after[:2] == before[:2]
    assert [turn["turn"] for turn in after] == [1, 2, 3, 4]


def test_a_fork_is_told_what_to_do_otherwise(running: Stack, simulated: ProviderProcess) -> None:
    prompt = scripted(turns=[call("broken", depth=1), call("broken", depth=2), {"text": "That is all."}])
    old = running.finished(running.submit("effects", prompt))

    job = running.finished(running.client.fork(old["id"], 1, message=OBEY)["id"])

    assert (job["output"], job["usage"]["turns"]) == ("As you wish.", 1)
    assert len(conversation(simulated.calls(), prompt)) == 4


def test_a_job_that_ended_badly_goes_on_where_it_did(running: Stack, simulated: ProviderProcess) -> None:
    prompt = scripted(turns=[call("broken", depth=1), {"text": "I would rather not", "stop_reason": "refusal"}])
    old = running.finished(running.submit("effects", prompt))
    assert (old["status"], old["usage"]["turns"]) == ("incomplete", 2)

    job = running.finished(running.client.retry(old["id"], message=OBEY)["id"])

    assert (job["status"], job["output"], job["usage"]["turns"]) == ("succeeded", "As you wish.", 1)
    assert job["forked_from"] == {"job_id": old["id"], "turn": 1}
    assert len(conversation(simulated.calls(), prompt)) == 3


def test_a_failed_job_goes_on_from_its_last_turn_over_http(running: Stack, simulated: ProviderProcess) -> None:
    prompt = slowly(call("broken", depth=1), {"text": "Not heard."})
    old = running.submit("effects", prompt)
    running.until(old, "running")
    say(running, old, "<sim>what the provider refuses</sim>")
    failed = running.finished(old)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "invalid_request_error")
    bought = len(conversation(simulated.calls(), prompt))

    def retry() -> Any:
        headers = {"Idempotency-Key": f"again-{old}"}
        return running.http.post(f"/v1/jobs/{old}/retry", json={"message": OBEY}, headers=headers)

    answer = retry()

    assert answer.status_code == 202, answer.text
    again = answer.json()["id"]
    assert answer.headers["location"] == f"/v1/jobs/{again}"
    job = running.finished(again)
    assert (job["status"], job["output"]) == ("succeeded", "As you wish.")
    assert job["forked_from"] == {"job_id": old, "turn": 1}
    assert (job["usage"]["turns"], job["usage"]["tool_calls"]) == (1, 0)
    assert len(conversation(simulated.calls(), prompt)) == bought + 1
    assert transcript(running, again)["data"][0] == transcript(running, old)["data"][0]
    assert running.job(old)["status"] == "failed"
    repeated = retry()
    assert (repeated.json()["id"], repeated.headers["idempotency-replayed"]) == (again, "true")
    refused = running.http.post(f"/v1/jobs/{again}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "already_succeeded")


def test_what_must_not_run_twice_does_not_in_a_retry_either(
    running: Stack, shared_stack: tuple[Stack, ProviderProcess, RedisServer]
) -> None:
    prompt = scripted(turns=[call("launch", key="effects:retried"), {"text": "Up."}])
    job_id = running.submit("effects", prompt)
    with redis_sync.Redis.from_url(shared_stack[2].url, decode_responses=True) as redis:
        deadline = clock.monotonic() + 20
        while redis.get("effects:retried") is None:
            assert clock.monotonic() < deadline
            running.http.get(f"/v1/jobs/{job_id}", params={"wait": 0.2})
        running.client.cancel(job_id)
        assert running.finished(job_id)["status"] == "cancelled"

        again = running.client.retry(job_id)["id"]
        (action,) = running.asked(again)
        assert (action["kind"], action["tool"]) == ("outcome", "launch")
        running.decide(action, "done")

        assert running.finished(again)["output"] == "Up."
        assert redis.get("effects:retried") == "1"
