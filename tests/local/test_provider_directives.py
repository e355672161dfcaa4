"""Directives: what `<sim>{...}</sim>` in a user's text makes the model do."""

import json

import anthropic
import pytest

from local.provider.arguments import Arguments, find_arithmetic


def after(request, *answers):
    """The same request after these answers of the model, with a result for each of their tool calls."""
    messages = list(request["messages"])
    for answer in answers:
        calls = [block for block in answer.content if block.type == "tool_use"]
        messages.append({"role": "assistant", "content": [block.to_dict() for block in answer.content]})
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "ok"} for call in calls]
        messages.append({"role": "user", "content": results or "Go on."})
    return request | {"messages": messages}


async def play(sdk, request, steps):
    answers = []
    for _ in range(steps):
        answers.append(await sdk.messages.create(**after(request, *answers)))
    return answers


def said(answer):
    """The stop reason, and text or (tool, input) of each block."""
    blocks = [block.text if block.type == "text" else (block.name, block.input) for block in answer.content]
    return answer.stop_reason, *blocks


async def test_turn_by_turn(sdk, ask):
    request = ask(
        "Please work.",
        turns=[
            {
                "text": "First",
                "tools": [{"name": "clock"}, {"name": "calculator", "input": {"expression": "1+1"}}],
            },
            {"text": "Done", "output_tokens": 200},
        ],
    )
    first, second, third = await play(sdk, request, 3)
    assert said(first) == ("tool_use", "First", ("clock", {}), ("calculator", {"expression": "1+1"}))
    assert said(second) == ("end_turn", "Done")
    assert second.usage.output_tokens == 200
    assert third.stop_reason == "end_turn"


async def test_the_last_turn_repeats_when_it_has_tools(sdk, ask):
    request = ask(turns=[{"text": "Hm"}, {"tools": [{"name": "clock"}]}])
    answers = await play(sdk, request, 4)
    assert [said(answer) for answer in answers[1:]] == [("tool_use", ("clock", {}))] * 3
    ids = [block.id for answer in answers for block in answer.content if block.type == "tool_use"]
    assert len(set(ids)) == 3


async def test_loop_calls_for_ever_with_the_same_input(sdk, ask, calculator):
    request = ask("Sums!", tools=[calculator], loop="calculator")
    answers = await play(sdk, request, 6)
    assert {json.dumps(said(answer)) for answer in answers} == {
        json.dumps(("tool_use", ("calculator", {"expression": "6*7"})))
    }


async def test_a_number_of_turns(sdk, ask, clock, calculator):
    answers = await play(sdk, ask("Go", tools=[clock, calculator], turns=4, tool="calculator"), 4)
    assert [answer.stop_reason for answer in answers] == ["tool_use"] * 3 + ["end_turn"]
    assert answers[0].content[0].name == "calculator"
    [first, *_] = await play(sdk, ask("Go", tools=[clock, calculator], turns=2), 1)
    assert first.content[0].name == "clock", "the first tool offered"


async def test_one_turn_in_text_is_the_default(sdk, ask, clock):
    answer = await sdk.messages.create(**ask("Hello", tools=[clock], output_tokens=123))
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens == 123
    assert len(answer.content[0].text) == 123 * 4


async def test_refusal(sdk, ask):
    answer = await sdk.messages.create(**ask(refuse=True))
    assert answer.stop_reason == "refusal"
    assert answer.stop_details.type == "refusal"
    async with sdk.messages.stream(**ask(refuse=True)) as stream:
        assert (await stream.get_final_message()).stop_details.type == "refusal"


async def test_stop_reason_and_empty_text(sdk, ask):
    answer = await sdk.messages.create(**ask(turns=[{"text": "", "stop_reason": "pause_turn"}]))
    assert (answer.stop_reason, answer.content) == ("pause_turn", [])
    async with sdk.messages.stream(**ask(turns=[{"text": ""}])) as stream:
        assert (await stream.get_final_message()).content == []


async def test_latency(sdk, ask, provider):
    await sdk.messages.create(**ask(turns=[{"text": "Slowly", "latency": 0.3}]))
    await sdk.messages.create(**ask(output_tokens=100, tokens_per_second=400))
    slow, paced = provider.calls()
    assert slow["finished"] - slow["started"] >= 0.29
    assert paced["finished"] - paced["started"] >= 0.24


async def test_a_later_question_gets_its_own_answer(sdk, ask):
    request = ask(turns=[{"text": "One"}])
    [first] = await play(sdk, request, 1)
    follow_up = after(request, first)
    follow_up["messages"][-1] = {"role": "user", "content": "And what about Paris?"}
    answer = await sdk.messages.create(**follow_up)
    assert "Paris" in answer.content[0].text


async def test_a_later_directive_takes_over(sdk, ask):
    request = ask(turns=[{"text": "One"}])
    [first] = await play(sdk, request, 1)
    follow_up = after(request, first)
    follow_up["messages"][-1] = {"role": "user", "content": '<sim>{"turns": [{"text": "Two"}]}</sim>'}
    assert said(await sdk.messages.create(**follow_up)) == ("end_turn", "Two")


@pytest.mark.parametrize(
    ("directive", "message"),
    [
        ("<sim>{", "<sim> without </sim>"),
        ("<sim>{turns}</sim>", "not JSON"),
        ("<sim>[]</sim>", "dictionary"),
        ('<sim>{"trns": 3}</sim>', "trns: Extra inputs are not permitted"),
        ('<sim>{"turns": 0}</sim>', "turns: Input should be greater than or equal to 1"),
        ('<sim>{"turns": []}</sim>', "at least one turn"),
        ('<sim>{"turns": [{"tools": [{"input": {}}]}]}</sim>', "turns.0.tools.0.name: Field required"),
        ('<sim>{"turns": [{"fault": "666"}]}</sim>', "turns.0.fault: Input should be '429'"),
        (
            '<sim>{"turns": [{"output_tokens": "many"}]}</sim>',
            "turns.0.output_tokens: Input should be a valid",
        ),
        ('<sim>{"turns": [{"stop_reason": "tired"}]}</sim>', "turns.0.stop_reason"),
        ('<sim>{"tokens_per_second": 0}</sim>', "tokens_per_second: Input should be greater than 0"),
        ('<sim>{"loop": "clock", "turns": 3}</sim>', "turns and loop exclude each other"),
        ('<sim>{"turns": 3}</sim>', "offers no tool"),
    ],
)
async def test_a_broken_directive_says_what_is_wrong(sdk, ask, directive, message):
    with pytest.raises(anthropic.BadRequestError) as caught:
        await sdk.messages.create(**ask(directive))
    assert caught.value.type == "invalid_request_error"
    assert caught.value.api_message.startswith("sim directive: ")
    assert message in caught.value.api_message


REFERENCES = {
    "type": "object",
    "properties": {"colour": {"$ref": "#/$defs/Colour"}, "place": {"anyOf": [{"$ref": "#/$defs/Place"}]}},
    "required": ["colour", "place"],
    "$defs": {
        "Colour": {"enum": ["red", "green"]},
        "Place": {"type": "object", "properties": {"floor": {"type": "integer"}}, "required": ["floor"]},
    },
}


@pytest.mark.parametrize(
    ("properties", "accepts"),
    [
        ({"x": {"type": "integer", "minimum": 3, "maximum": 5}}, lambda x: 3 <= x <= 5),
        ({"x": {"type": "number", "exclusiveMinimum": 0}}, lambda x: x > 0),
        ({"x": {"type": "integer", "maximum": -3}}, lambda x: x <= -3),
        ({"x": {"exclusiveMinimum": 0, "exclusiveMaximum": 1, "type": "number"}}, lambda x: 0 < x < 1),
        ({"x": {"type": "boolean"}}, lambda x: isinstance(x, bool)),
        ({"x": {"enum": ["a", "b"]}}, lambda x: x in ("a", "b")),
        ({"x": {"const": 7}}, lambda x: x == 7),
        ({"x": {"type": "string", "default": "d"}}, lambda x: x == "d"),
        ({"x": {"type": "string", "examples": ["e"]}}, lambda x: x == "e"),
        ({"x": {"type": "string", "maxLength": 3}}, lambda x: 0 < len(x) <= 3),
        ({"x": {"type": "string", "minLength": 90}}, lambda x: len(x) >= 90),
        ({"x": {"type": ["null", "string"]}}, lambda x: isinstance(x, str)),
        ({"x": {"anyOf": [{"type": "null"}, {"type": "integer"}]}}, lambda x: isinstance(x, int)),
        ({"x": {"type": "array", "items": {"type": "integer"}, "minItems": 2}}, lambda x: len(x) == 2),
        ({"x": {"type": "string", "format": "date"}}, lambda x: x == "2026-01-31"),
        ({"invoice_number": {"type": "string"}}, lambda x: x == "INV-7"),
        ({"expression": {"type": "string"}}, lambda x: x == "2 * (3 + 4)"),
        ({"time_zone": {"type": "string"}}, lambda x: x == "UTC"),
    ],
)
def test_inputs_fit_their_schema(properties, accepts):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    made = Arguments("Pay INV-7, that is 2 * (3 + 4).", "salt").for_tool(schema)
    assert list(made) == list(properties)
    assert all(accepts(value) for value in made.values())


def test_inputs_follow_references():
    made = Arguments("Hello", "salt").for_tool(REFERENCES)
    assert made["colour"] in ("red", "green")
    assert isinstance(made["place"]["floor"], int)


def test_optional_properties_are_left_out():
    schema = {"type": "object", "properties": {"zone": {"type": "string"}}}
    assert Arguments("Hello", "salt").for_tool(schema) == {}


@pytest.mark.parametrize(
    ("text", "sums"),
    [
        ("What is 12 * (3 + 4)?", ["12 * (3 + 4)"]),
        ("Is 1+1 = 2.", ["1+1"]),
        ("On 2026-01-31 (a day)", []),
        ("No sums here, INV-7.", []),
    ],
)
def test_sums_are_found(text, sums):
    assert find_arithmetic(text) == sums


async def test_of_several_in_one_text_the_last_governs(sdk, ask):
    request = ask(turns=[{"text": "First"}])
    request["messages"][0]["content"] += ' No: <sim>{"turns": [{"text": "Second"}]}</sim>'
    [answer] = await play(sdk, request, 1)
    assert said(answer) == ("end_turn", "Second")
