"""RESULTS.md has sections of several commands: each replaces its own and nothing else."""

from pathlib import Path

import pytest

from bench.results_file import replaced, write_section

DOCUMENT = """# Results

<!-- queue: begin -->
old
<!-- queue: end -->

By hand.

<!-- gate: begin -->
the gate's
<!-- gate: end -->
"""


def test_only_the_own_section_changes() -> None:
    assert replaced(DOCUMENT, "queue", "new\n\n| a | b |\n") == DOCUMENT.replace("old", "new\n\n| a | b |")


def test_the_same_text_again_changes_nothing() -> None:
    assert replaced(DOCUMENT, "gate", "the gate's") == DOCUMENT


def test_a_new_section_goes_to_the_end() -> None:
    after = replaced(DOCUMENT, "ingress", "fast")
    assert after == f"{DOCUMENT}\n<!-- ingress: begin -->\nfast\n<!-- ingress: end -->\n"


def test_backslashes_in_the_text_stay_as_they_are() -> None:
    assert r"a \1 \| b" in replaced(DOCUMENT, "queue", r"a \1 \| b")


@pytest.mark.parametrize(
    "document",
    [
        "<!-- queue: begin -->\nnever ends",
        "<!-- queue: end --><!-- queue: begin -->",
        "<!-- queue: begin --><!-- queue: end --><!-- queue: begin --><!-- queue: end -->",
    ],
)
def test_a_document_out_of_order_is_left_alone(document: str) -> None:
    with pytest.raises(ValueError, match="queue"):
        replaced(document, "queue", "new")


def test_a_name_that_would_break_the_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no section"):
        replaced(DOCUMENT, "queue -->", "new")


def test_the_document_is_begun_when_it_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    write_section("queue", "first", path)
    write_section("gate", "second", path)
    write_section("queue", "third", path)
    text = path.read_text()
    assert text.startswith("# Results\n")
    assert "first" not in text
    assert text.index("third") < text.index("second")
