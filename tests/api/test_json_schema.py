"""The ingress refuses what an agent's own model would, as far as a schema tells, and never what it would take."""

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.json_schema import complaints


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=5)]
    price: Annotated[float, Field(gt=0, lt=100)]
    colour: Colour = Colour.RED


class Order(BaseModel):
    number: Annotated[int, Field(ge=1, le=9)]
    items: Annotated[list[Item], Field(min_length=1, max_length=3)]
    gift: bool = False
    note: str | None = None
    kind: Literal["new", 3] = "new"
    prices: dict[str, int] = {}
    pair: tuple[int, str] = (1, "a")
    parts: "list[Order]" = []


SCHEMA = Order.model_json_schema()
GOOD: dict[str, Any] = {"number": 1, "items": [{"name": "cup", "price": 2}]}


def said(value: Any) -> list[tuple[str, str]]:
    return list(complaints(value, SCHEMA))


@pytest.mark.parametrize(
    ("change", "at", "told"),
    [
        ({"number": 0}, "/number", "must be at least 1"),
        ({"number": 10}, "/number", "must be at most 9"),
        ({"number": "1"}, "/number", "must be integer"),
        ({"number": True}, "/number", "must be integer"),
        ({"number": 1.5}, "/number", "must be integer"),
        ({"items": []}, "/items", "must have 1 items or more"),
        ({"items": GOOD["items"] * 4}, "/items", "must have 3 items at most"),
        ({"items": [{"name": "", "price": 1}]}, "/items/0/name", "must have 1 characters or more"),
        ({"items": [{"name": "saucer", "price": 1}]}, "/items/0/name", "must have 5 characters at most"),
        ({"items": [{"name": "cup", "price": 0}]}, "/items/0/price", "must be more than 0"),
        ({"items": [{"name": "cup", "price": 100}]}, "/items/0/price", "must be less than 100"),
        ({"items": [{"price": 1}]}, "/items/0", 'lacks "name"'),
        ({"items": [{"name": "cup", "price": 1, "a/b~": 1}]}, "/items/0/a~1b~0", "there is no such field"),
        ({"items": [{"name": "cup", "price": 1, "colour": "x"}]}, "/items/0/colour", 'must be one of "red", "blue"'),
        ({"gift": 1}, "/gift", "must be boolean"),
        ({"note": 1}, "/note", "must be string"),
        ({"kind": True}, "/kind", 'must be one of "new", 3'),
        ({"prices": {"a": "b"}}, "/prices/a", "must be integer"),
        ({"pair": [1, 2]}, "/pair/1", "must be string"),
        ({"parts": [GOOD | {"parts": [GOOD | {"number": 0}]}]}, "/parts/0/parts/0/number", "must be at least 1"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(change: dict[str, Any], at: str, told: str) -> None:
    assert said(GOOD | change)[0] == (at, told)


def test_all_that_is_wrong_is_told() -> None:
    assert {at for at, _ in said({"number": 0, "items": [], "gift": 3})} == {"/number", "/items", "/gift"}
    assert said([]) == [("", "must be object")]


def test_what_is_right_passes() -> None:
    assert said(GOOD) == []
    assert said(GOOD | {"note": None, "kind": 3, "pair": [2, "b"], "number": 2.0, "else": 1}) == []


def test_what_is_not_known_passes_and_a_schema_that_holds_itself_comes_to_an_end() -> None:
    assert list(complaints("x", {"pattern": "(a+)+$", "format": "date", "madeUp": 1, "type": "madeUp"})) == []
    assert list(complaints(1, {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"})) == []
    assert list(complaints(1, {"$ref": "https://elsewhere.example/schema"})) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 11) | st.floats(0, 101) | st.sampled_from(["", "cup", "red", "saucer"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["number", "items", "gift", "note", "kind", "parts", "name", "price", "colour"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.builds(lambda more: GOOD | more, st.dictionaries(st.sampled_from(sorted(Order.model_fields)), JSON)))
def test_nothing_passes_that_the_model_refuses(value: dict[str, Any]) -> None:
    if not said(value):
        try:
            Order.model_validate(value)
        except ValidationError as error:
            pytest.fail(f"{value} passes, but {error}")
