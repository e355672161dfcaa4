"""What the model does when nothing scripts it: a few tool calls when there are tools, then an answer."""

import random
import re
from itertools import cycle, islice
from typing import Any

from local.provider.arguments import Arguments, find_arithmetic
from local.provider.conversation import Conversation
from local.provider.directive import ToolCall, Turn, without_directive
from local.provider.messages import MessagesRequest

_DANGEROUS = re.compile(r"delet|remov|irreversib|destroy|for ever", re.IGNORECASE)
_QUOTED_CHARACTERS = 240
_TWO_CALLS_IN_ONE_TURN = 0.25

_OPENINGS = (
    "Thank you, that is a good question.",
    "Happy to help with that.",
    "Here is what I can tell you.",
    "Let me answer that step by step.",
)
_REMARKS = (
    "The main point is to keep it simple and to check the result before you rely on it.",
    "I looked at it from two sides, and both lead to the same conclusion.",
    "There are a few details worth a second look, but nothing that changes the outcome.",
    "It helps to write down what is known first and to fill in the gaps one by one.",
    "In short, the plan is sound and the next step is clear.",
)
_CLOSINGS = ("Tell me if you want more detail.", "I hope this helps.", "Let me know what to do next.")


def improvise(request: MessagesRequest, conversation: Conversation, seed: int) -> Turn:
    """The answer to the last question: tool calls by a plan drawn from seed and question, then text."""
    question = conversation.question
    salt = f"{seed}:{conversation.key}:{question.position}:{question.text}"
    plan = _plan(request, question.text, random.Random(salt))
    if question.step < len(plan):
        return Turn(tools=_calls(request, plan[question.step], question.text, f"{salt}:{question.step}"))
    return Turn(text=answer(request, conversation, salt))


def answer(request: MessagesRequest, conversation: Conversation, salt: str) -> str:
    """A pleasant text that names the question and quotes every tool result since it was asked."""
    choose = random.Random(salt)
    subject = _shorten(without_directive(conversation.question.text))
    results = _results(request, conversation.question.position)
    remarks = choose.sample(_REMARKS, 1 if results else choose.randint(2, 4))
    sentences = [choose.choice(_OPENINGS), f'You wrote: "{subject}"' if subject else "You wrote no text."]
    return " ".join([*sentences, *results, *remarks, choose.choice(_CLOSINGS)])


def filler(tokens: int, salt: str) -> str:
    """A text of exactly that many tokens."""
    choose = random.Random(salt)
    text = " ".join(choose.choice(_REMARKS) for _ in range(tokens * 4 // len(_REMARKS[-1]) + 1))
    return (text * (tokens * 4 // len(text) + 1))[: tokens * 4 - 1] + "."


def tool_input(request: MessagesRequest, name: str, question: str, salt: str) -> dict[str, Any]:
    """A valid input for a tool that is offered, `{}` for one that is not."""
    schema: dict[str, Any] = next((tool["input_schema"] for tool in request.tools if tool["name"] == name), {})
    return Arguments(without_directive(question), salt).for_tool(schema)


def _plan(request: MessagesRequest, question: str, choose: random.Random) -> list[list[str]]:
    """Names of the tools to call, turn by turn."""
    kind = request.tool_choice["type"]
    if kind == "none" or not request.tools:
        return []
    if kind == "tool":
        return [[request.tool_choice["name"]]]
    wanted, usual = _candidates(request, question, choose)
    rounds = max(choose.choice((1, 1, 2, 2, 3)), len(wanted))
    names = iter([*wanted, *islice(cycle(usual), 2 * rounds)])
    parallel = not request.tool_choice.get("disable_parallel_tool_use")
    plan = []
    for _ in range(rounds):
        size = 2 if parallel and len(usual) > 1 and choose.random() < _TWO_CALLS_IN_ONE_TURN else 1
        plan.append(list(islice(names, size)))
    return [turn for turn in plan if turn]


def _candidates(request: MessagesRequest, question: str, choose: random.Random) -> tuple[list[str], list[str]]:
    """Tools that the user named, and the others, those that fit the question first; what cannot be undone is
    only called when it was named."""
    wanted = [tool["name"] for tool in request.tools if tool["name"] in question]
    usual = [tool for tool in request.tools if tool["name"] not in wanted and not _is_dangerous(tool)]
    choose.shuffle(usual)
    usual.sort(key=lambda tool: _fit(tool, question), reverse=True)
    return wanted, [tool["name"] for tool in usual]


def _is_dangerous(tool: dict[str, Any]) -> bool:
    return bool(_DANGEROUS.search(f"{tool['name']} {tool.get('description', '')}"))


def _fit(tool: dict[str, Any], question: str) -> int:
    """How many words tool and question share; a sum to be worked out speaks for the tool that can."""
    about = set(_words(f"{tool['name']} {tool.get('description', '')}"))
    shared = len(about & set(_words(question)))
    can_calculate = "expression" in tool["input_schema"].get("properties", {})
    return shared + (3 if can_calculate and find_arithmetic(question) else 0)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]{4,}", text.lower())


def _calls(request: MessagesRequest, names: list[str], question: str, salt: str) -> list[ToolCall]:
    return [
        ToolCall(name=name, input=tool_input(request, name, question, f"{salt}:{index}"))
        for index, name in enumerate(names)
    ]


def _results(request: MessagesRequest, position: int) -> list[str]:
    """A sentence for each tool result after this message."""
    names: dict[str, str] = {}
    sentences = []
    for message in request.messages[position:]:
        for block in message.blocks:
            if block["type"] == "tool_use":
                names[block["id"]] = str(block.get("name"))
            elif block["type"] == "tool_result" and block["tool_use_id"] in names:
                verb = "failed with" if block.get("is_error") else "gave"
                sentences.append(f'{names[block["tool_use_id"]]} {verb} "{_shorten(_result_text(block))}".')
    return sentences


def _result_text(block: dict[str, Any]) -> str:
    content = block.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(str(item.get("text", "")) for item in content)


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUOTED_CHARACTERS else line[: _QUOTED_CHARACTERS - 1] + "…"
