"""The types of the client are those of the server, and what is written down twice is the same twice."""

import inspect
from types import UnionType
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel

from api import (
    action_schemas,
    batch_schemas,
    event_schemas,
    fork_schemas,
    message_schemas,
    problems,
    schemas,
    turn_schemas,
    webhook_schemas,
)
from client import sluice_client
from client.sluice_client import AsyncSluice, Sluice
from shared.states import FINISHED
from shared.states import Status as ServerStatus

ANSWERS: list[tuple[type, type[BaseModel]]] = [
    (sluice_client.Job, schemas.JobResource),
    (sluice_client.Action, action_schemas.ActionResource),
    (sluice_client.ActionLinks, action_schemas.ActionLinks),
    (sluice_client.Usage, schemas.UsageResource),
    (sluice_client.Budget, schemas.BudgetResource),
    (sluice_client.Model, schemas.ModelResource),
    (sluice_client.Origin, schemas.OriginResource),
    (sluice_client.RetryOptions, fork_schemas.RetryRequest),
    (sluice_client.Place, schemas.QueueResource),
    (sluice_client.JobError, schemas.ErrorResource),
    (sluice_client.Incomplete, schemas.IncompleteResource),
    (sluice_client.BatchResult, batch_schemas.BatchResult),
    (sluice_client.Problem, problems.ProblemDocument),
    (sluice_client.FieldError, problems.FieldError),
    (sluice_client.Event, event_schemas.EventResource),
    (sluice_client.BrokenCall, turn_schemas.BrokenCallResource),
    (sluice_client.Turn, turn_schemas.TurnResource),
    (sluice_client.ToolCall, turn_schemas.ToolCallResource),
    (sluice_client.Decision, turn_schemas.DecisionResource),
    (sluice_client.Step, turn_schemas.StepResource),
    (sluice_client.Message, message_schemas.MessageResource),
    (sluice_client.TurnMessage, message_schemas.TurnMessageResource),
    (sluice_client.JobRequest, batch_schemas.BatchJobRequest),
    (sluice_client.BudgetOptions, schemas.BudgetRequest),
    (sluice_client.WebhookOptions, webhook_schemas.WebhookRequest),
]
SIMPLE = (str, int, float, bool, type(None))


def plain(hint: Any) -> set[type]:
    """The simple types in a hint; nothing for one that is not made of those alone."""
    members = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return set(members) if all(one in SIMPLE for one in members) else set()


@pytest.mark.parametrize(("ours", "servers"), ANSWERS, ids=lambda one: one.__name__)
def test_fields_are_those_of_the_server(ours: type, servers: type[BaseModel]) -> None:
    hints = get_type_hints(ours)
    assert hints.keys() == servers.model_fields.keys()
    for name, hint in hints.items():
        if (told := plain(servers.model_fields[name].annotation)) and plain(hint):
            left_out = {type(None)} if name not in ours.__required_keys__ else set()  # type: ignore[attr-defined]
            assert plain(hint) | left_out == told | left_out, name


def test_statuses_are_those_of_the_server() -> None:
    assert set(get_args(sluice_client.Status)) == set(ServerStatus)
    assert set(FINISHED) == sluice_client.FINISHED


def test_a_batch_is_as_long_as_the_server_takes() -> None:
    assert sluice_client._BATCH == batch_schemas.MOST_JOBS


def operations(kind: type) -> dict[str, Any]:
    return {name: member for name, member in inspect.getmembers(kind, callable) if not name.startswith("_")}


def test_both_classes_have_the_same_methods() -> None:
    blocking, waiting = operations(Sluice), operations(AsyncSluice)
    assert blocking.keys() == waiting.keys()
    for name in blocking.keys() - {"close"}:
        assert inspect.signature(blocking[name]) == inspect.signature(waiting[name])
    with_own_client = {name: one for name, one in inspect.signature(Sluice).parameters.items() if name != "http"}
    assert with_own_client == {n: o for n, o in inspect.signature(AsyncSluice).parameters.items() if n != "http"}
