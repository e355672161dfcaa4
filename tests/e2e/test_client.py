"""Every operation of the client, blocking and not, on real processes: the answers are what its types say."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from client.sluice_client import Conflict, InvalidRequest, NotFound, TimedOut
from local.provider_process import ProviderProcess
from tests.client.both import Both
from tests.prompts import conversation, scripted
from tests.stack import Stack
from tests.waiting import until


@pytest.fixture(params=["sync", "async"])
async def sluice(request: pytest.FixtureRequest, running: Stack) -> AsyncIterator[Both]:
    running.finished(running.submit("assistant", "The workers are there."))
    client = Both(request.param, running.api.url)
    yield client
    await client.close()


async def test_submit_follow_wait_and_read(sluice: Both, simulated: ProviderProcess) -> None:
    prompt = scripted(
        turns=[{"text": "Let me see. ", "tools": [{"name": "clock", "input": {}}]}, {"text": "It is late."}]
    )
    job = await sluice.do("submit", "researcher", prompt, session_id="client-1", metadata={"order": "17"})
    assert job["status"] == "queued"
    events = await sluice.all("stream", job["id"])
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "job.succeeded"
    assert await sluice.all("stream", job["id"], after=len(events) - 1) == events[-1:]
    assert await sluice.all("stream", job["id"], after=len(events)) == []

    job = await sluice.do("wait", job["id"])
    assert (job["status"], job["metadata"]) == ("succeeded", {"order": "17"})
    assert job == await sluice.do("get", job["id"])
    first, second = await sluice.all("turns", job["id"])
    assert await sluice.all("steps", job["id"]) == []
    assert [call["name"] for call in first["tool_calls"]] == ["clock"]
    assert second["content"][0]["text"] == "It is late."
    assert [one["id"] for one in await sluice.all("list", session_id="client-1", most=1)] == [job["id"]]


async def test_a_submit_can_wait_and_its_key_counts_once(sluice: Both, simulated: ProviderProcess) -> None:
    key = f"order-{datetime.now(UTC).timestamp()}"
    job = await sluice.do("submit", "assistant", scripted(output_tokens=5), wait=30, idempotency_key=key)
    assert job["status"] == "succeeded"
    with pytest.raises(InvalidRequest) as caught:
        await sluice.do("submit", "assistant", "Something else", idempotency_key=key)
    assert caught.value.code == "idempotency_conflict"
    assert await sluice.do("submit", "assistant", job["input"], idempotency_key=key) == job


async def test_times_and_money_as_python_has_them(sluice: Both) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    job = await sluice.do("submit", "assistant", "Later.", run_at=later, budget={"max_cost_usd": "0.5"})
    assert datetime.fromisoformat(job["next_attempt_at"]) - later < timedelta(seconds=1)
    assert (await sluice.do("cancel", job["id"]))["status"] == "cancelled"
    with pytest.raises(InvalidRequest) as caught:
        await sluice.do("submit", "assistant", "Later.", run_at=later.replace(tzinfo=None))
    assert caught.value.errors[0]["pointer"] == "#/run_at"


async def test_cancel_wait_in_vain_and_delete(sluice: Both, simulated: ProviderProcess) -> None:
    prompt = scripted(latency=60)
    job = await sluice.do("submit", "assistant", prompt)
    with pytest.raises(TimedOut):
        await sluice.do("wait", job["id"], timeout=0.2)
    await until(lambda: len(conversation(simulated.calls(), prompt)) == 1)
    with pytest.raises(Conflict) as caught:
        await sluice.do("delete", job["id"])
    assert caught.value.code == "not_finished"
    assert (await sluice.do("cancel", job["id"]))["status"] in ("cancelling", "cancelled")
    assert (await sluice.do("wait", job["id"]))["status"] == "cancelled"
    await sluice.do("delete", job["id"])
    for operation in ("get", "wait", "cancel", "delete"):
        with pytest.raises(NotFound):
            await sluice.do(operation, job["id"])
    for operation in ("stream", "turns", "steps"):
        with pytest.raises(NotFound):
            await sluice.all(operation, job["id"])


async def test_a_person_decides(sluice: Both, running: Stack) -> None:
    deletion = {"name": "delete_invoice", "input": {"number": "2026-003"}}
    job = await sluice.do("submit", "invoices", scripted(turns=[{"tools": [deletion]}, {"text": "It stays."}]))
    (asked,) = running.asked(job["id"])
    assert asked in await sluice.all("actions")
    with pytest.raises(InvalidRequest):
        await sluice.do("decide", job["id"], asked["id"], "edit", input={"number": 3})
    with pytest.raises(NotFound):
        await sluice.do("decide", job["id"], "act_/../x", "deny")

    action = await sluice.do("decide", job["id"], asked["id"], "deny", comment="Ask Ada first.")

    assert (action["status"], action["decision"], action["comment"]) == ("decided", "deny", "Ask Ada first.")
    assert (await sluice.do("wait", job["id"]))["output"] == "It stays."
    assert asked["id"] not in [one["id"] for one in await sluice.all("actions")]
    with pytest.raises(Conflict) as caught:
        await sluice.do("decide", job["id"], asked["id"], "approve")
    assert (caught.value.code, caught.value.attempts) == ("already_decided", 1)


async def test_a_session_is_forgotten(sluice: Both) -> None:
    await sluice.do("submit", "assistant", "My name is Ada.", session_id="client-2", wait=30)
    assert (await sluice.do("request", "GET", "/v1/sessions/client-2"))["jobs"]
    await sluice.do("delete_session", "client-2")
    with pytest.raises(NotFound):
        await sluice.do("delete_session", "client-2")


async def test_many_at_once(sluice: Both, simulated: ProviderProcess) -> None:
    jobs: list[dict[str, Any]] = [{"agent": "assistant", "input": f"Number {number}."} for number in range(3)]
    taken, wrong, other = await sluice.do("submit_many", [jobs[0], jobs[1] | {"agent": "nobody"}, jobs[2]])
    assert wrong["error"]["code"] == "unknown_agent"
    for one in (taken, other):
        assert (await sluice.do("wait", one["job"]["id"]))["status"] == "succeeded"
    with pytest.raises(InvalidRequest) as caught:
        await sluice.do("submit_many", [jobs[0], jobs[1] | {"agent": "nobody"}], all_or_nothing=True)
    assert caught.value.code == "unknown_agent"


async def test_other_endpoints(sluice: Both) -> None:
    names = {agent["name"] for agent in (await sluice.do("request", "GET", "/v1/agents"))["data"]}
    assert {"assistant", "researcher"} <= names
    endpoint = await sluice.do("request", "POST", "/v1/webhook_endpoints", body={"url": "https://example.com/hooks"})
    assert await sluice.do("request", "DELETE", f"/v1/webhook_endpoints/{endpoint['id']}") is None


async def test_a_job_is_spoken_to(sluice: Both, simulated: ProviderProcess) -> None:
    job = await sluice.do("submit", "assistant", scripted(turns=[{"text": "Not heard."}]), delay_seconds=1)
    said = await sluice.do(
        "send_message", job["id"], 'No. <sim>{"turns": [{"text": "Heard."}]}</sim>', idempotency_key="once"
    )
    again = await sluice.do("send_message", job["id"], said["content"], idempotency_key="once")
    assert again == said

    assert (await sluice.do("wait", job["id"]))["output"] == "Heard."
    (heard,) = await sluice.all("messages", job["id"])
    assert (heard["id"], heard["after_turn"]) == (said["id"], 0)
    with pytest.raises(Conflict) as caught:
        await sluice.do("send_message", job["id"], "And now?")
    assert caught.value.code == "already_finished"


async def test_a_job_is_forked_and_tried_again(sluice: Both, simulated: ProviderProcess) -> None:
    turns = [{"tools": [{"name": "clock", "input": {}}]}, {"text": "Late.", "stop_reason": "refusal"}]
    job = await sluice.do("submit", "researcher", scripted(turns=turns), wait=30)
    assert job["status"] == "incomplete"

    fork = await sluice.do("fork", job["id"], 1, metadata={"of": "fork"}, idempotency_key=f"f{job['id']}")
    assert (await sluice.do("wait", fork["id"]))["usage"]["turns"] == 1
    assert (fork["forked_from"], fork["metadata"]) == ({"job_id": job["id"], "turn": 1}, {"of": "fork"})
    answer = 'Well? <sim>{"turns": [{"text": "Early."}]}</sim>'
    again = await sluice.do("retry", job["id"], message=answer)
    assert (await sluice.do("wait", again["id"]))["output"] == "Early."
    with pytest.raises(Conflict) as caught:
        await sluice.do("retry", again["id"])
    assert caught.value.code == "already_succeeded"
