"""The testing kit: an author's agent runs in the worker's own loop, and the test says what the model answers.

    from local.testing import call, run_agent, say

    def test_looks_before_it_speaks():
        result = run_agent(weather, "Will it rain?", replies=[call("forecast", city="Lisbon"), say("No.")])
        assert result.output == "No."

No Redis, no network, no key, no money (docs/bring-your-own-agent.md).
"""

from local.testing.replies import Messages, Replies, Reply, ScriptError, call, say
from local.testing.result import Result, StepDone, ToolUse
from local.testing.run import arun_agent, run_agent

__all__ = [
    "Messages",
    "Replies",
    "Reply",
    "Result",
    "ScriptError",
    "StepDone",
    "ToolUse",
    "arun_agent",
    "call",
    "run_agent",
    "say",
]
