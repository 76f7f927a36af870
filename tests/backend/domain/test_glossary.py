"""Each technical word of a page explains itself, in few words."""

import re
from pathlib import Path

import pytest

from backend.domain.glossary import GLOSSARY, explanation

TEMPLATES = Path(__file__).parents[3] / "frontend" / "templates"
USED = re.compile(r"""\bterm\(\s*["']([^"']+)["']|\bword=["']([^"']+)["']""")


@pytest.mark.parametrize("word", GLOSSARY)
def test_a_text_is_at_most_two_short_sentences(word: str) -> None:
    text = explanation(word)

    assert 1 <= len(re.findall(r"[.;:?](?: |$)", text.replace(": ", " ").replace("; ", " "))) <= 2
    assert len(text.split()) <= 40
    assert text.endswith(".")


def test_every_word_that_pages_explain_is_in_the_glossary() -> None:
    pages = TEMPLATES.rglob("*.html")
    used = {first or second for page in pages for first, second in USED.findall(page.read_text("utf-8"))}

    assert len(used) > 15
    assert used <= GLOSSARY.keys()


def test_a_word_that_is_missing_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        explanation("flux")
