"""Tool calls in a real job: what the model is told when a tool fails, is late or is called wrongly."""

import pytest

from tests.prompts import scripted
from tests.stack import Stack

CASES = [
    ("broken", {"depth": 3}, "RuntimeError: broken at 3"),
    ("broken", {"depth": "deep"}, "depth: Input should be a valid integer"),
    ("broken", {"depth": 1, "width": 2}, "width: Extra inputs are not permitted"),
    ("sleepy", {}, "did not answer within 0.2 seconds"),
]


@pytest.mark.parametrize(("tool", "arguments", "told"), CASES)
def test_a_tool_that_fails_is_an_answer_to_the_model(
    running: Stack, tool: str, arguments: dict[str, object], told: str
) -> None:
    prompt = scripted(turns=[{"tools": [{"name": tool, "input": arguments}]}, {"text": "I see."}])

    job = running.finished(running.submit("effects", prompt))

    assert job["status"] == "succeeded", job
    assert job["output"] == "I see."
    (result,) = running.results(job["id"])
    assert result["is_error"]
    assert told in result["content"]


def test_reads_of_one_turn_run_beside_each_other(running: Stack) -> None:
    calls = [{"name": "sleepy", "input": {}} for _ in range(10)]
    job = running.finished(running.submit("effects", scripted(turns=[{"tools": calls}, {"text": "ok"}])))

    results = running.results(job["id"])
    assert len(results) == 10
    assert max(result["milliseconds"] for result in results) < 1900, "ten of 0.2 s took far less than 2 s"
