"""Draws every page in every state and puts the pictures side by side: ``python -m tests.e2e.contact_sheet``.

``--keep`` renews the small pictures that tests compare with, with ``--only PART`` those of some pages. ``--readme RUN``
renews those of the README instead, from a training on a running server, whose key is in ``TELLAPART_TOKEN``.
"""

import argparse
import html
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from backend import migrations
from tests.e2e.conftest import CHROMIUM_ARGUMENTS, MANY_CLASSES, installed_chromium
from tests.e2e.furnished import Wording, furnish
from tests.e2e.screens import KEPT, LOOKS, SCREENS, Servers, hide_chance, in_all_looks, keep, kept_file, picture
from tests.e2e.server import serving

ROOT: Final = Path(__file__).resolve().parents[2]
OUT: Final = ROOT / "build" / "screens"
README: Final = {
    "pictures": "/datasets/{dataset}",
    "labels": "/datasets/{dataset}/labels",
    "look": "/versions/{version}",
    "train": "/versions/{version}/train",
    "run": "/runs/{run}",
    "confusions": "/runs/{run}/understand/confusions",
    "try": "/checkpoints/{checkpoint}/try?image={image}",
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


def draw_all(browser: Browser, servers: Servers, *, keeps: bool, only: str = "") -> list[Path]:
    """Every screen in every look, under ``build/screens``; renews the kept ones too where that is wanted.

    Args:
        only: a part of the names of the screens that are drawn; empty draws all.
    """
    OUT.mkdir(parents=True, exist_ok=True)
    if keeps and not only:
        for file in KEPT.glob("*.webp"):
            file.unlink()
    files = []
    for screen in (one for one in SCREENS if only in one.name):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        servers.open(page, screen)
        for width, colours in in_all_looks(page):
            files.append(OUT / f"{screen.name}-{width}-{colours}.png")
            picture(page).save(files[-1])
        if keeps:
            hide_chance(page)
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


def draw_readme(browser: Browser, run_address: str, key: str) -> None:
    """The README's pictures from a training of real pictures: the upper part of a page, light, 1280 px, 128 colours.

    Args:
        run_address: the page of a training that succeeded, ``http://127.0.0.1:8000/runs/…``.
        key: a key of that server.
    """
    server, run_id = run_address.rsplit("/runs/", 1)
    with httpx.Client(base_url=f"{server}/api/v1", headers={"Authorization": f"Bearer {key}"}) as api:
        run = api.get(f"/runs/{run_id}").raise_for_status().json()
        version = api.get(f"/versions/{run['version_id']}").raise_for_status().json()
        worst = api.get(f"/runs/{run_id}/top-losses", params={"k": 1}).raise_for_status().json()
    ids = {
        "dataset": version["dataset_id"],
        "version": version["id"],
        "run": run_id,
        "checkpoint": run["checkpoints"][-1]["id"],
        "image": worst["items"][0]["image_id"],
    }
    context = browser.new_context(viewport={"width": 1280, "height": README_HEIGHT}, color_scheme="light")
    page = context.new_page()
    page.goto(f"{server}/sign-in")
    page.locator("input[type=password]").fill(key)
    page.get_by_role("button", name="Sign in", exact=True).click()
    for name, path in README.items():
        page.goto(server + path.format(**ids), wait_until="load")
        page.wait_for_timeout(2500)
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
    parser.add_argument("--only", metavar="PART", default="", help="draw only screens with this in their name")
    parser.add_argument("--readme", metavar="RUN", help="renew the README's pictures from this run's page, and no more")
    chosen = parser.parse_args()
    with sync_playwright() as playwright, ExitStack() as stack:
        browser = playwright.chromium.launch(executable_path=installed_chromium(), args=list(CHROMIUM_ARGUMENTS))
        if chosen.readme:
            draw_readme(browser, chosen.readme, os.environ["TELLAPART_TOKEN"])
        else:
            servers = stack.enter_context(all_servers())
            side_by_side(draw_all(browser, servers, keeps=chosen.keep, only=chosen.only))
            print(f"{OUT.parent / 'contact-sheet.png'}, {OUT.parent / 'contact-sheet.html'}")  # noqa: T201  # its answer
        browser.close()


if __name__ == "__main__":
    main()
