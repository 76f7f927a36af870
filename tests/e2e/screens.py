"""Every page in every state, as pictures: drawn, measured, and put side by side."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from tests.e2e.furnished import Furnished
from tests.e2e.places import EMPTY_PLACES, PLACES, address_of
from tests.e2e.server import Server

KEPT: Final = Path(__file__).parent / "screens"
LOOKS: Final = [(width, colours) for width in (1280, 390) for colours in ("light", "dark")]
SHRINK: Final = 4
MOST_PX: Final = 4000
"""Longer pages are drawn to here."""
MANY: Final = (
    "home",
    "pictures",
    "labels",
    "look",
    "train",
    "runs",
    "understand",
    "confusions",
    "classes",
    "try, answered",
)

# What differs from drawing to drawing: times, pictures chosen at random, the caret, movement.
_NO_MOVEMENT: Final = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`*, *::before, *::after { transition: none !important; animation: none !important; }
    * { caret-color: transparent !important; } ::-webkit-scrollbar { display: none; } html { scrollbar-width: none; }`);
  document.adoptedStyleSheets = [sheet];
}"""
_HIDE_CHANCE: Final = """(isHidden) => {
  globalThis.chance ??= new CSSStyleSheet();
  globalThis.chance.replaceSync(isHidden ? "img, canvas, time, .run-pill { visibility: hidden !important; }" : "");
  document.adoptedStyleSheets = [...new Set([...document.adoptedStyleSheets, globalThis.chance])];
}"""

FAULTS: Final = (Path(__file__).parent / "layout_faults.js").read_text("utf-8")
"""Looks for faults of the layout in the page; answers a list of sentences."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A page in a state; ``amount`` says of which server: ``few``, ``many`` or ``none``."""

    amount: str
    place: str

    @property
    def name(self) -> str:
        """As a file's name."""
        words = f"{self.amount} {self.place}".replace(",", "").replace("/", " ").strip()
        return "-".join(words.split())


SCREENS: Final = [
    *(Screen("few", place) for place in PLACES),
    *(Screen("many", place) for place in MANY),
    *(Screen("none", place) for place in EMPTY_PLACES),
]


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers whose pages are drawn."""

    few: Furnished
    many: Furnished
    none: Server

    def open(self, page: Page, screen: Screen) -> None:
        """Sign in and go there; ``/sign-in`` is drawn for whoever isn't signed in."""
        if screen.amount == "none":
            if screen.place != "/sign-in":
                page.context.request.get(self.none.sign_in)
            page.goto(address_of(self.none, screen.place))
        else:
            furnished = self.few if screen.amount == "few" else self.many
            page.context.request.get(furnished.server.sign_in)
            PLACES[screen.place].open(page, furnished)
        page.wait_for_load_state()
        # Answers to what was chosen; the stream of events never lets the network be idle.
        page.wait_for_timeout(500)


def in_all_looks(page: Page) -> Iterator[tuple[int, str]]:
    """Wide and narrow, light and dark, one after the other; without movement, so that no colour is on its way."""
    page.evaluate(_NO_MOVEMENT)
    for width, colours in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if colours == "dark" else "light", reduced_motion="reduce")
        is_dark = "(dark) => matchMedia('(prefers-color-scheme: dark)').matches === dark"
        page.wait_for_function(is_dark, arg=colours == "dark")
        # Charts follow the window in the next frames.
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        yield width, colours


def hide_chance(page: Page, *, is_hidden: bool = True) -> None:
    """Hide, or show again, what differs from drawing to drawing."""
    page.evaluate(_HIDE_CHANCE, is_hidden)


def picture(page: Page) -> Image.Image:
    """The whole page; the window alone where a dialog stands in its middle."""
    if page.locator("dialog[open]").count():
        return _image(page.screenshot())
    width = page.viewport_size["width"] if page.viewport_size else 1280
    height = min(int(page.evaluate("document.documentElement.scrollHeight")), MOST_PX)
    return _image(page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height}))


def _image(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def small(image: Image.Image) -> Image.Image:
    """As it is kept."""
    return image.resize((image.width // SHRINK, image.height // SHRINK), Image.Resampling.BOX)


def kept_file(screen: Screen, width: int, colours: str) -> Path:
    """Where the picture that a page is compared with is kept."""
    return KEPT / f"{screen.name}-{width}-{colours}.webp"


def keep(image: Image.Image, file: Path) -> None:
    """Write the small picture; a few kilobytes."""
    file.parent.mkdir(exist_ok=True)
    small(image).save(file, "WEBP", quality=40, method=6)


BLOCK: Final = 8
BLOCK_DIFFERS: Final = 24.0
SHARE_MAY_DIFFER: Final = 0.12
"""Two drawings of one unchanged page differed by up to 8.3 % on a busy machine: live parts arrive when they arrive.
Faults of the layout are measured exactly, by ``layout_faults.js``."""
HEIGHT_MAY_DIFFER: Final = 0.04


def difference(drawn: Image.Image, kept: Image.Image) -> str:
    """What is different beyond letters and rounding, or nothing. Fonts differ from machine to machine."""
    now = small(drawn)
    if now.width != kept.width or abs(now.height - kept.height) > max(12, HEIGHT_MAY_DIFFER * kept.height):
        return f"it was {kept.width} x {kept.height} and is {now.width} x {now.height} (a quarter of its size)"
    height = min(now.height, kept.height)
    apart = np.abs(_blocks(now, height) - _blocks(kept, height)).max(axis=-1) > BLOCK_DIFFERS
    share = float(apart.mean())
    return f"{share:.1%} of its area looks different" if share > SHARE_MAY_DIFFER else ""


def _blocks(image: Image.Image, height: int) -> np.ndarray:
    """Means of squares of pixels, (rows, columns, 3)."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.float32)[
        : height // BLOCK * BLOCK, : image.width // BLOCK * BLOCK
    ]
    rows, columns = pixels.shape[0] // BLOCK, pixels.shape[1] // BLOCK
    means: np.ndarray = pixels.reshape(rows, BLOCK, columns, BLOCK, 3).mean(axis=(1, 3))
    return means
