"""The testing kit as authors use it: what it tells of a job, what it refuses, and what a crash shows."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from local.testing import Messages, ScriptError, arun_agent, call, run_agent, say
from worker.agents import Agent, Budget, Context, Retry, ToolContext, agent, tool

HAPPENED: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_has_happened() -> None:
    HAPPENED.clear()


@tool(effect="read")
def look(at: str) -> str:
    """Look at something."""
    HAPPENED.append(f"look {at}")
    if at == "sun":
        raise ValueError("too bright")
    return f"a {at}"


@tool(effect="idempotent")
async def file(what: str, context: ToolContext) -> str:
    """File something."""
    HAPPENED.append(f"file {what} {context.idempotency_key.partition('/')[2]} for {context.tenant}")
    await context.notes.write(what, "filed")
    return str(await context.notes.read())


@tool(effect="irreversible", approval=lambda given: given["euros"] > 100)
def pay(euros: int) -> str:
    """Pay."""
    HAPPENED.append(f"pay {euros}")
    return f"{euros} paid"


clerk = Agent(name="clerk", system="You do what you are told.", tools=[look, file, pay], budget=Budget(max_turns=5))

SCRIPT = [
    [say("Let me see."), call("look", at="sky"), call("look", at="sun")],
    [call("file", what="bill"), call("pay", euros=90)],
    say("Paid."),
]


def test_it_tells_what_became_of_the_job() -> None:
    result = run_agent(clerk, "Pay the bill.", replies=SCRIPT, tenant="ada")

    assert (result.status, result.output, result.error, result.turns) == ("succeeded", "Paid.", None, 3)
    assert [(one.name, one.input, one.result, one.is_error) for one in result.tool_calls] == [
        ("look", {"at": "sky"}, "a sky", False),
        ("look", {"at": "sun"}, "ValueError: too bright", True),
        ("file", {"what": "bill"}, "{'bill': 'filed'}", False),
        ("pay", {"euros": 90}, "90 paid", False),
    ]
    assert HAPPENED[2:] == ["file bill 2/toolu_000000000002000000000001 for ada", "pay 90"]
    assert (result.usage.turns, result.usage.tool_calls) == (3, 4)
    assert result.usage.cost_nano > 0


def test_it_tells_what_the_model_was_sent() -> None:
    result = run_agent(clerk, [{"role": "user", "content": "Hello."}], replies=[call("look", at="sky"), say("Hi.")])

    assert [len(request.messages) for request in result.requests] == [1, 3]
    assert result.requests[0].system == clerk.system
    assert [one["name"] for one in result.requests[0].tools] == ["look", "file", "pay"]
    assert result.messages[0] == {"role": "user", "content": "Hello."}
    assert result.messages[2]["content"][0]["content"] == "a sky"


async def test_in_a_running_event_loop_it_is_awaited() -> None:
    assert (await arun_agent(clerk, "Hello.", replies=[say("Hi.")])).output == "Hi."
    with pytest.raises(RuntimeError, match="await arun_agent"):
        run_agent(clerk, "Hello.", replies=[say("Hi.")])


def test_replies_may_be_made_of_what_the_model_is_sent() -> None:
    def parrot(messages: Messages) -> Any:
        return say(messages[-1]["content"][0]["content"]) if len(messages) > 1 else call("look", at="sky")

    assert run_agent(clerk, "Go.", replies=parrot).output == "a sky"
    assert run_agent(clerk, "Go.", replies=[call("look", at="sea"), parrot]).output == "a sea"


# Limits are the worker's


def test_a_limit_ends_it_with_what_it_has() -> None:
    turn = [say("Looking."), call("look", at="sky")]
    result = run_agent(replace(clerk, budget=Budget(max_turns=2)), "Go.", replies=[turn, turn])
    assert (result.status, result.incomplete_reason, result.output) == ("incomplete", "max_turns", "Looking.")
    assert "as many turns as it may: 2" in result.incomplete_message

    result = run_agent(replace(clerk, budget=Budget(max_cost_usd="0.0001")), "Go.", replies=[])
    assert (result.incomplete_reason, result.requests) == ("budget_exceeded", []), "no call was made that may cost more"

    circling = replace(clerk, max_repeats=3, budget=Budget())
    result = run_agent(circling, "Go.", replies=lambda _: call("look", at="sky"))
    assert (result.incomplete_reason, result.turns) == ("loop_detected", 3)


def test_an_answer_is_as_long_as_the_agent_allows() -> None:
    result = run_agent(replace(clerk, max_output_tokens=5), "Go.", replies=[say("word " * 100)])
    assert (result.status, result.incomplete_reason) == ("incomplete", "max_tokens")
    assert result.output == "word " * 4


def test_the_model_may_stop_for_another_reason() -> None:
    result = run_agent(clerk, "Go.", replies=[say("No.", stop_reason="refusal")])
    assert (result.status, result.incomplete_reason, result.output) == ("incomplete", "refusal", "No.")


# What the script cannot mean

SO_FAR = """The conversation so far:
  user: Go.
  assistant: Hm.
  assistant calls look {"at": "sun"}
  look fails: ValueError: too bright"""


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ([], "The model is asked for answer 2, and the test has 1 reply."),
        ([call("fly")], "Answer 2 calls fly, and the model has look, file, pay."),
        (["Hi."], r"Answer 2 must be made with say\(…\) and call\(…\), not 'Hi.'."),
        ([lambda messages: None], r"Answer 2 must be made with say\(…\) and call\(…\), not None."),
    ],
)
def test_a_script_that_does_not_fit_is_one_clear_error(second: list[Any], told: str) -> None:
    with pytest.raises(ScriptError, match=told) as raised:
        run_agent(clerk, "Go.", replies=[[say("Hm."), call("look", at="sun")], *second])
    assert isinstance(raised.value, AssertionError)
    assert str(raised.value).endswith(SO_FAR)


def test_an_input_that_is_no_json_is_told() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        run_agent(clerk, "Go.", replies=[call("look", at=object())])


def test_an_answer_may_be_empty() -> None:
    assert run_agent(clerk, "Go.", replies=[say("")]).output is None


def test_what_the_test_itself_asserts_is_told_as_it_is() -> None:
    def strict(messages: Messages) -> Any:
        assert len(messages) == 2, "two, please"

    with pytest.raises(AssertionError, match="two, please"):
        run_agent(clerk, "Go.", replies=strict)


def test_what_the_provider_would_refuse_is_refused() -> None:
    @agent(name="rude")
    async def rude(context: Context, given: str) -> str:
        return (await context.call_model([{"role": "assistant", "content": given}])).text

    result = run_agent(rude, "Go.", replies=[say("Hi.")])
    assert result.error is not None
    assert (result.status, result.error.code) == ("failed", "invalid_request_error")
    assert 'first message must use the "user" role' in result.error.message


# Persons

BIG = [call("pay", euros=500), say("Done.")]


def test_a_call_that_needs_approval_waits_for_it() -> None:
    result = run_agent(clerk, "Go.", replies=BIG)

    assert (result.status, result.output, HAPPENED) == ("requires_action", None, [])
    (action,) = result.actions
    assert (action.kind, action.tool, action.input, action.note) == ("approval", "pay", {"euros": 500}, None)
    assert result.tool_calls[0].result is None


@pytest.mark.parametrize(
    ("said", "happened", "told"),
    [
        ("approve", ["pay 500"], "500 paid"),
        ({"decision": "deny", "comment": "Too much."}, [], "denied this call; it was not run. Comment: Too much."),
        ({"decision": "edit", "input": {"euros": 50}}, ["pay 50"], "50 paid"),
        ("expired", [], "nobody decided in time"),
    ],
)
def test_persons_decide(said: Any, happened: list[str], told: str) -> None:
    result = run_agent(clerk, "Go.", replies=BIG, decisions={"pay": said})

    assert (result.status, HAPPENED, result.actions) == ("succeeded", happened, [])
    assert told in str(result.tool_calls[0].result)


def test_who_is_asked_the_same_again_is_silent() -> None:
    result = run_agent(clerk, "Go.", replies=BIG, decisions={"pay": {"decision": "edit", "input": {"euros": "many"}}})

    assert (result.status, HAPPENED) == ("requires_action", [])
    assert "valid integer" in str(result.actions[0].note)


def test_decisions_that_cannot_be_are_refused() -> None:
    for wrong in ({"pay": "perhaps"}, {"play": "approve"}):
        with pytest.raises(ValueError, match=r"perhaps|no tool play"):
            run_agent(clerk, "Go.", replies=BIG, decisions=wrong)


# Crashes


def test_wherever_the_worker_dies_the_end_is_the_same() -> None:
    whole = run_agent(clerk, "Go.", replies=SCRIPT)

    for records in range(whole.records + 1):
        HAPPENED.clear()
        result = run_agent(clerk, "Go.", replies=SCRIPT, crash_after=records, decisions={"pay": "done"})
        assert (result.status, result.output, result.turns) == ("succeeded", "Paid.", 3)
        assert HAPPENED.count("pay 90") == 1, "whatever it cost"
        assert len({line for line in HAPPENED if line.startswith("file")}) == 1, "again, but under the same key"


def test_a_call_of_which_nobody_knows_is_asked_about() -> None:
    result = run_agent(clerk, "Go.", replies=[call("pay", euros=90), say("Done.")], crash_after=2)

    assert (result.status, HAPPENED) == ("requires_action", ["pay 90"])
    assert result.actions[0].kind == "outcome"


def test_a_crash_that_never_comes_proves_nothing_and_is_told() -> None:
    with pytest.raises(ScriptError, match="crash_after=9: the job ended with 1 records"):
        run_agent(clerk, "Go.", replies=[say("Hi.")], crash_after=9)


# Custom agents


@agent(name="refunds", budget=Budget(max_turns=3), retry=Retry(attempts=3))
async def refunds(context: Context, order: str) -> dict[str, Any]:
    """Refunds an order."""
    found = await context.step("look up", _look_up, order, effect="read")
    answer = await context.call_model([{"role": "user", "content": f"May we refund {found}?"}], tools=[pay])
    paid = await context.step("pay", _pay, answer.tool_calls[0]["input"]["euros"], effect="irreversible")
    return {"said": answer.text, "paid": paid}


async def _look_up(order: str) -> dict[str, Any]:
    HAPPENED.append(f"look up {order}")
    if order == "flaky" and HAPPENED.count("look up flaky") < 3:
        raise ConnectionError("no books")
    return {"order": order}


def _pay(euros: int) -> str:
    HAPPENED.append(f"pay {euros}")
    return "receipt"


YES = [[say("Yes."), call("pay", euros=80)]]


def test_a_custom_agent_is_run_as_well() -> None:
    result = run_agent(refunds, "7", replies=YES)

    assert (result.status, result.output) == ("succeeded", '{"said": "Yes.", "paid": "receipt"}')
    assert [(one.name, one.result) for one in result.steps] == [("look up", {"order": "7"}), ("pay", "receipt")]
    assert result.messages == [{"role": "user", "content": "May we refund {'order': '7'}?"}]


def test_its_steps_are_not_done_twice_either() -> None:
    for records in range(run_agent(refunds, "7", replies=YES).records + 1):
        HAPPENED.clear()
        result = run_agent(refunds, "7", replies=YES, crash_after=records)
        assert HAPPENED.count("pay 80") == 1
        unknown = records == 3  # its intent was written, its receipt was not
        assert (result.status, [one.tool for one in result.actions]) == (
            ("requires_action", ["pay"]) if unknown else ("succeeded", [])
        )


def test_persons_say_what_became_of_its_steps() -> None:
    said = {"pay": {"decision": "done", "result": "seen by Ada"}}
    result = run_agent(refunds, "7", replies=YES, crash_after=3, decisions=said)

    assert (result.status, result.output) == ("succeeded", '{"said": "Yes.", "paid": "seen by Ada"}')
    assert HAPPENED.count("pay 80") == 1


def test_its_failures_are_tried_again_without_a_pause() -> None:
    result = run_agent(refunds, "flaky", replies=YES)
    assert (result.status, HAPPENED.count("look up flaky")) == ("succeeded", 3)


def test_what_it_raises_ends_it_after_its_attempts() -> None:
    @agent(name="broken", retry=Retry(attempts=2))
    async def broken(context: Context, given: str) -> None:
        HAPPENED.append("tried")
        raise KeyError("lost")

    result = run_agent(broken, "Go.", replies=[])

    assert result.error is not None
    assert (result.status, result.error.code, result.error.message) == ("failed", "agent_error", "KeyError: 'lost'")
    assert HAPPENED == ["tried", "tried"]


def test_its_script_may_end_too_early_and_it_cannot_hide_that() -> None:
    @agent(name="shameless")
    async def shameless(context: Context, given: str) -> str:
        try:
            return (await context.call_model([{"role": "user", "content": given}])).text
        except BaseException:
            return "swallowed"

    with pytest.raises(ScriptError, match="asked for answer 1, and the test has 0 replies"):
        run_agent(shameless, "Go.", replies=[])


def test_its_branches_may_ask_beside_each_other() -> None:
    @agent(name="debate")
    async def debate(context: Context, given: str) -> list[str]:
        asked = [context.call_model([{"role": "user", "content": name}], name=name) for name in ("for", "against")]
        return [answer.text for answer in await asyncio.gather(*asked)]

    for records in range(3):
        result = run_agent(
            debate, "Go.", replies=lambda messages: say(f"I am {messages[0]['content']}."), crash_after=records
        )
        assert result.output == '["I am for.", "I am against."]'
