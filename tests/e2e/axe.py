"""axe-core in a page: what it calls serious or critical; and widths at which a page scrolls sideways."""

import json
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

_SCRIPT: Final = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
# Besides what axe does by itself: targets of at least 24 px.
_ALL: Final = {"rules": {"target-size": {"enabled": True}}, "resultTypes": ["violations"]}
_COLOURS: Final = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": ["violations"],
}
# Charts follow the window a moment later.
_IS_TOO_WIDE: Final = """async () => {
  for (let looks = 0; looks < 20; looks += 1) {
    if (document.documentElement.scrollWidth <= innerWidth) return false;
    await new Promise((done) => setTimeout(done, 100));
  }
  return true;
}"""
_WIDTHS: Final = (1280, 390, 320)


def load_axe(page: Page) -> None:
    """Put axe into the page; once before ``serious_findings``."""
    page.evaluate(_SCRIPT.read_text())


def serious_findings(page: Page, *, only_colours: bool = False) -> list[str]:
    """What axe calls serious or critical in the page as it is now.

    Args:
        only_colours: check contrast alone, for a second look that differs from the first one in its colours.
    """
    result = page.evaluate(f"axe.run(document, {json.dumps(_COLOURS if only_colours else _ALL)})")
    return _serious(result)


def _serious(result: dict[str, Any]) -> list[str]:  # Any: axe's own JSON
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def widths_that_scroll(page: Page) -> list[int]:
    """Widths in pixels at which the page is wider than the window, and stays so."""
    found = []
    for width in _WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate(_IS_TOO_WIDE):
            found.append(width)
    return found
