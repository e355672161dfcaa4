"""Steering real jobs: what is said to one in mid-run is heard, whatever dies."""

import json
from typing import Any

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
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
