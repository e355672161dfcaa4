"""Redis away: running work goes on and is written after; nothing accepted is lost."""

from pathlib import Path

from local.provider_process import ProviderProcess
from local.redis_server import RedisServer
from tests.faults.test_worker_killed import in_turn
from tests.prompts import conversation, scripted
from tests.stack import stack


async def test_a_restart_of_redis_costs_no_job_and_no_turn(provider: ProviderProcess, tmp_path: Path) -> None:
    with (
        RedisServer(data_folder=tmp_path) as server,
        stack(server.url, provider.url, workers=1, SLUICE_QUEUE__LEASE_SECONDS="2") as running,
    ):
        prompt = scripted(turns=4, tool="clock", latency=0.4)
        job_id = running.submit("researcher", prompt)
        waiting = [running.submit("assistant", f"waiting {n}") for n in range(5)]
        await in_turn(provider, prompt, 2)

        server.stop()
        refused = running.http.post("/v1/jobs", json={"agent": "assistant", "input": "now?"})
        assert refused.status_code == 503
        assert refused.json()["code"] == "store_unavailable"
        assert running.http.get("/readyz").status_code == 503
        assert running.http.get("/healthz").status_code == 200
        server.start()

        job = running.finished(job_id)
        assert job["status"] == "succeeded", job
        calls = conversation(provider.calls(), prompt)
        assert [call["completed"] for call in calls] == [True] * 4, "no turn was bought twice"
        assert {running.finished(one)["status"] for one in waiting} == {"succeeded"}
        assert running.workers[0].is_running
