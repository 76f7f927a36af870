"""Styles: a page's rules reach only that page, and no class is styled in two files."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tinycss2

ROOT = Path(__file__).resolve().parents[2]
STYLES = ROOT / "frontend/styles"
TEMPLATES = ROOT / "frontend/templates"
SHARED = {
    "viewer.css",
    "tokens.css",
    "base.css",
    "frame.css",
    "components.css",
    "dropzone.css",
    "findings.css",
    "glossary.css",
    "states.css",
}
BUNDLES = ("main.css", "datasets.css")
PAGES = sorted(file for file in STYLES.glob("*.css") if file.name not in {*BUNDLES, *SHARED})
CLASS = re.compile(r"\.(-?[_a-zA-Z][\w-]*)")
OTHER_PARTS = re.compile(r":(?:has|not|is|where)\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\]|::?[\w-]+(?:\([^)]*\))?")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's selector, without those around it, and the selectors around it."""

    selector: str
    inside: tuple[str, ...]


def imports_of(bundle: str) -> list[str]:
    """The stylesheets that one imports into a layer."""
    return re.findall(r'@import "([\w.]+)" layer\(\w+\);', (STYLES / bundle).read_text("utf-8"))


def rules_of(css: str) -> Iterator[Rule]:
    """Every style rule of a stylesheet, nested ones and those of media queries among them."""
    yield from _rules(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True), ())


def _rules(nodes: list[tinycss2.ast.Node], inside: tuple[str, ...]) -> Iterator[Rule]:
    for node in nodes:
        if node.type == "at-rule" and node.content and node.lower_at_keyword in ("media", "supports", "layer"):
            yield from _rules(_content(node), inside)
        elif node.type == "qualified-rule":
            selector = tinycss2.serialize(node.prelude).strip()
            yield Rule(selector, inside)
            yield from _rules(_content(node), (*inside, selector))


def _content(node: tinycss2.ast.Node) -> list[tinycss2.ast.Node]:
    nodes: list[tinycss2.ast.Node] = tinycss2.parse_blocks_contents(
        node.content, skip_comments=True, skip_whitespace=True
    )
    return nodes


def own_classes(css: str) -> set[str]:
    """Classes that a file styles wherever they stand: in selectors that name no other class."""
    found = set()
    for rule in rules_of(css):
        if rule.selector.startswith(".page-") and not rule.inside:
            continue
        for part in OTHER_PARTS.sub("", rule.selector).split(","):
            classes = set(CLASS.findall(part))
            if len(classes) == 1 and part.split()[-1].startswith("."):
                found |= classes
    return found


def pages_reached_from(css: str) -> set[str]:
    """The outermost selectors of a stylesheet."""
    return {rule.selector for rule in rules_of(css) if not rule.inside}


def test_no_class_is_styled_in_two_files() -> None:
    homes = defaultdict(set)
    for file in STYLES.glob("*.css"):
        for name in own_classes(file.read_text("utf-8")):
            homes[name].add(file.name)

    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_a_pages_styles_reach_only_that_page(file: Path) -> None:
    page = file.stem.replace("_", "-")
    reached = pages_reached_from(file.read_text("utf-8"))

    assert len(reached) == 1
    assert page == reached.pop().removeprefix(".page-") or file.stem.startswith("understand_")


def test_every_page_has_the_name_that_its_styles_have() -> None:
    named = {
        name
        for template in TEMPLATES.rglob("*.html")
        for name in re.findall(r"{% block page_name %}([\w-]+){% endblock %}", template.read_text("utf-8"))
    }
    reached = {root for file in PAGES for root in pages_reached_from(file.read_text("utf-8"))}

    assert reached <= {f".page-{name}" for name in named}


def test_every_stylesheet_is_imported_into_a_layer() -> None:
    imported = [name for bundle in BUNDLES for name in imports_of(bundle)]

    assert sorted(imported) == sorted(file.name for file in STYLES.glob("*.css") if file.name not in BUNDLES)


def test_every_page_of_a_dataset_has_their_stylesheet() -> None:
    files = [STYLES / name for name in imports_of("datasets.css")]
    roots = {root for file in files for root in pages_reached_from(file.read_text("utf-8"))}
    condition = re.search(r"self\.page_name\(\) in \(([^)]*)\)", (TEMPLATES / "base.html").read_text("utf-8"))

    assert condition is not None
    assert {f".page-{name}" for name in re.findall(r'"([\w-]+)"', condition[1])} == roots


def test_it_finds_a_class_that_two_stylesheets_style() -> None:
    first = ".page-a { .look { width: 1px; } @media (width < 9px) { .look:has(.b) { width: 2px; } } }"
    second = "ul, .look { height: 1px; } .faces .look { height: 2px; }"

    assert own_classes(first) & own_classes(second) == {"look"}


def test_it_finds_rules_outside_the_page() -> None:
    assert pages_reached_from(".page-a { .b { width: 1px; } } .c { width: 1px; }") == {".page-a", ".c"}
