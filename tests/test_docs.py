"""The docs are as the code: what is generated is up to date, what is linked is there."""

import re
from pathlib import Path

import pytest

from docs import generate

_ROOT = Path(__file__).parent.parent
_PAGES = [
    *_ROOT.glob("*.md"),
    *_ROOT.glob("docs/**/*.md"),
    *_ROOT.glob("deploy/**/*.md"),
    *_ROOT.glob("examples/**/*.md"),
]


@pytest.mark.parametrize("document", sorted(generate.PARTS))
def test_generated_parts_are_up_to_date(document: str) -> None:
    assert (_ROOT / "docs" / document).read_text("utf-8") == generate.with_generated_part(document), "run: make docs"


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text("utf-8"))
    dead = [link for link in links if not (page.parent / link).exists()]
    assert not dead


def test_every_setting_is_explained() -> None:
    assert "| None |" not in generate.settings_tables()
