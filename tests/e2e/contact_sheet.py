"""Draws every page in every state and puts the pictures side by side: ``python -m tests.e2e.contact_sheet``.

``--keep`` renews the small pictures that tests compare with, ``--readme`` those of the README.
"""

import argparse
import html
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from backend import migrations
from tests.e2e.conftest import CHROMIUM_ARGUMENTS, MANY_CLASSES, installed_chromium
from tests.e2e.furnished import Wording, furnish
from tests.e2e.places import PLACES
from tests.e2e.screens import HIDE_CHANCE, KEPT, LOOKS, SCREENS, Servers, in_all_looks, keep, kept_file, picture
from tests.e2e.server import serving

ROOT: Final = Path(__file__).resolve().parents[2]
OUT: Final = ROOT / "build" / "screens"
README: Final = {
    "pictures": "pictures",
    "labels": "labels",
    "look": "look",
    "train": "train",
    "run": "run, succeeded",
    "confusions": "confusions",
    "try": "try, answered",
}
README_HEIGHT: Final = 1000
TILE_WIDTHS: Final = (400, 400, 180, 180)
TILE_HEIGHT: Final = 400
GAP: Final = 8


@contextmanager
def all_servers() -> Iterator[Servers]:
    """The same servers as in the tests."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        migrated = folder / "migrated.sqlite3"
        migrations.upgrade(f"sqlite:///{migrated}")
        few, many, none = (folder / name for name in ("few", "many", "none"))
        for one in (few, many, none):
            one.mkdir()
        yield Servers(
            furnish(stack.enter_context(serving(few, migrated))),
            furnish(stack.enter_context(serving(many, migrated)), Wording("pets", MANY_CLASSES), each=12),
            stack.enter_context(serving(none, migrated)),
        )


def draw_all(browser: Browser, servers: Servers, *, keeps: bool) -> list[Path]:
    """Every screen in every look, under ``build/screens``; renews the kept ones too where that is wanted."""
    OUT.mkdir(parents=True, exist_ok=True)
    if keeps:
        for file in KEPT.glob("*.webp"):
            file.unlink()
    files = []
    for screen in SCREENS:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        servers.open(page, screen)
        for width, colours in in_all_looks(page):
            files.append(OUT / f"{screen.name}-{width}-{colours}.png")
            picture(page).save(files[-1])
        if keeps:
            page.evaluate(HIDE_CHANCE)
            for width, colours in in_all_looks(page):
                keep(picture(page), kept_file(screen, width, colours))
        context.close()
    return files


def side_by_side(files: list[Path]) -> None:
    """One picture of all, two screens a row, and a page that shows each in full."""
    shares = [TILE_WIDTHS[number % len(LOOKS)] for number in range(2 * len(LOOKS))]
    rows = -(-len(files) // len(shares))
    sheet = Image.new("RGB", (sum(shares) + GAP * len(shares), rows * (TILE_HEIGHT + GAP)), "#777")
    for number, file in enumerate(files):
        row, column = divmod(number, len(shares))
        with Image.open(file) as image:
            width = shares[column]
            tile = image.resize((width, image.height * width // image.width))
            tile = tile.crop((0, 0, width, min(tile.height, TILE_HEIGHT)))
        sheet.paste(tile, (sum(shares[:column]) + GAP * column, row * (TILE_HEIGHT + GAP)))
    sheet.save(OUT.parent / "contact-sheet.png")
    tiles = "\n".join(
        f'<a href="screens/{html.escape(file.name)}"><img src="screens/{html.escape(file.name)}" loading="lazy">'
        f"<br>{html.escape(file.stem)}</a>"
        for file in files
    )
    style = "body{font:13px sans-serif;background:#777} a{display:inline-block;margin:4px;color:#fff} img{width:320px}"
    page = f"<!doctype html><meta charset=utf-8><title>All pages</title><style>{style}</style>{tiles}"
    (OUT.parent / "contact-sheet.html").write_text(page, "utf-8")


def draw_readme(browser: Browser, servers: Servers) -> None:
    """The README's pictures: the upper part of a page, light, 1280 px wide, 128 colours."""
    context = browser.new_context(viewport={"width": 1280, "height": README_HEIGHT}, color_scheme="light")
    page = context.new_page()
    page.goto(servers.few.server.sign_in)
    for name, place in README.items():
        page.goto("about:blank")
        PLACES[place].open(page, servers.few)
        page.wait_for_timeout(500)
        page.evaluate("for (const part of document.querySelectorAll('main details')) part.open = false; scrollTo(0, 0)")
        file = ROOT / "docs" / "images" / f"{name}.png"
        page.screenshot(path=file)
        with Image.open(file) as image:
            image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(file, optimize=True)
    context.close()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="renew the small pictures that tests compare with")
    parser.add_argument("--readme", action="store_true", help="renew the README's pictures")
    chosen = parser.parse_args()
    with all_servers() as servers, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed_chromium(), args=list(CHROMIUM_ARGUMENTS))
        side_by_side(draw_all(browser, servers, keeps=chosen.keep))
        if chosen.readme:
            draw_readme(browser, servers)
        browser.close()
    print(f"{OUT.parent / 'contact-sheet.png'}, {OUT.parent / 'contact-sheet.html'}")  # noqa: T201  # a command's answer


if __name__ == "__main__":
    main()
