"""Every page of a furnished server, by a name that says in which state it is."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from playwright.sync_api import Page, expect

from backend.datasets.examine.embeddings import embeddings_file
from backend.datasets.version_repository import VersionRepository
from backend.prediction.inside.service import inside_of
from tests.backend.interpretation.labelled import examine
from tests.e2e.furnished import Furnished
from tests.e2e.server import Server
from tests.fixtures.inside import write_found
from tests.fixtures.pictures import CLASSES


def _nothing(page: Page, furnished: Furnished) -> None:
    """The page is right as it opens."""


@dataclass(frozen=True, slots=True)
class Place:
    """An address in which ids are left out, what is done there first, and errors that belong to it."""

    path: str
    then: Callable[[Page, Furnished], None] = _nothing
    expected: tuple[str, ...] = ()

    def open(self, page: Page, furnished: Furnished) -> None:
        """Go there, and do what is to be done."""
        page.goto(address_of(furnished.server, self.path, furnished))
        self.then(page, furnished)


def address_of(server: Server, path: str, furnished: Furnished | None = None) -> str:
    """The address of a page, ids filled in."""
    if furnished is None:
        return server.url + path
    ids = {
        "dataset": furnished.dataset_id,
        "empty_dataset": furnished.empty_dataset_id,
        "version": furnished.version_id,
        "image": furnished.tested_image_id,
        "checkpoint": furnished.checkpoints[-1],
        "first_checkpoint": furnished.checkpoints[0],
        **{f"{state}_run": run_id for state, run_id in furnished.runs.items()},
        **{f"{found}_find": find_id for found, find_id in furnished.finds.items()},
    }
    return server.url + path.format(**ids)


def _open_all(page: Page, furnished: Furnished) -> None:
    """Everything that can be unfolded is."""
    page.evaluate("for (const part of document.querySelectorAll('main details')) part.open = true")


def _wait_for_curves(page: Page, furnished: Furnished) -> None:
    expect(page.locator("[data-curves] canvas").first).to_be_visible()
    _open_all(page, furnished)


def _wait_for_marker(page: Page, furnished: Furnished) -> None:
    expect(page.get_by_role("slider")).to_be_visible()
    _open_all(page, furnished)


def _wait_for_shortcuts(page: Page, furnished: Furnished) -> None:
    """Until the search that runs beside requests is over; then the page says what it found."""
    address = f"{furnished.server.url}/api/v1/datasets/{furnished.dataset_id}/health"
    while "Whether something trivial gives a class away" in page.request.get(address).json()["waiting"]:
        page.wait_for_timeout(200)
    page.reload()


_MAP_HAS_ALL: Final = """() => {
  const come = (part) => performance.getEntriesByType("resource").filter((entry) => entry.name.includes(part)).length;
  return come("/map/strays?") && come("view=neighbours") >= 2 && come("/map/values?") >= come("/map/strays?");
}"""
"""Positions and strays of the last view, and colours for each time that it was drawn, have come."""


def _draw_map(page: Page, furnished: Furnished) -> None:
    """With features, which are there only until it is drawn: other pages are looked at without."""
    with furnished.server.services.database.read() as session:
        labels = dict(VersionRepository(session).labels_of(furnished.version_id))
    shape_of = dict(zip(furnished.wording.classes, CLASSES, strict=False))
    shapes = {image_id: shape_of.get(name, "cross") for image_id, name in labels.items()}
    examine(furnished.server.services, furnished.dataset_id, shapes)
    page.reload()
    expect(page.get_by_text("Pictures that look alike")).to_be_visible(timeout=60_000)
    expect(page.locator("[data-map-legend] button").first).to_be_visible()
    # The last that it asks for, beside the colours.
    expect(page.locator("[data-map-strays-table]:not([hidden]), [data-map-no-strays]:not([hidden])")).to_be_visible()
    # It is drawn twice where its arrangement ends meanwhile: all that the last one asks for must have come.
    page.wait_for_function(_MAP_HAS_ALL)
    embeddings_file(furnished.server.services.settings.features_folder, furnished.dataset_id).unlink()


def _select_on_map(page: Page, furnished: Furnished) -> None:
    _draw_map(page, furnished)
    page.locator("[data-map-legend] button").first.click()
    page.get_by_role("button", name="Select these").click()
    expect(page.locator("[data-map-tiles] img").first).to_be_visible()


def _wait_for_worst(page: Page, furnished: Furnished) -> None:
    _wait_for_shortcuts(page, furnished)
    expect(page.locator("[data-checks] h2")).to_be_visible()


def _open_menu(page: Page, furnished: Furnished) -> None:
    page.get_by_label("Menu").click()


def _open_keys(page: Page, furnished: Furnished) -> None:
    page.keyboard.press("Shift+?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def _search(page: Page, furnished: Furnished) -> None:
    page.keyboard.press("/")
    page.keyboard.type("a")
    expect(page.get_by_role("dialog", name="Search").get_by_role("link").first).to_be_visible()


def _open_dialog(name: str) -> Callable[[Page, Furnished], None]:
    def open(page: Page, furnished: Furnished) -> None:
        page.locator(f"[data-opens='{name}']").click()
        expect(page.get_by_role("dialog")).to_be_visible()

    return open


def _break_the_rule(page: Page, furnished: Furnished) -> None:
    page.get_by_text("Its file name").click()
    page.get_by_label("Pattern").fill("/([^/]+")
    expect(page.get_by_text("is never closed")).to_be_visible(timeout=30_000)


def _choose_rule(words: str) -> Callable[[Page, Furnished], None]:
    def choose(page: Page, furnished: Furnished) -> None:
        page.get_by_role("radio", name=words, exact=True).check(force=True)
        _open_all(page, furnished)

    return choose


def _wait_for_classes(page: Page, furnished: Furnished) -> None:
    expect(page.locator("[data-next] img")).to_have_count(5)


def _label_many(page: Page, furnished: Furnished) -> None:
    _wait_for_classes(page, furnished)
    page.keyboard.press("v")
    page.keyboard.press("Control+a")
    expect(page.get_by_text(re.compile("^All .* pictures are selected"))).to_be_visible()


def _order_nonsense(page: Page, furnished: Furnished) -> None:
    _open_all(page, furnished)
    page.locator("[name=stage_freeze_0]").select_option("true")
    page.locator("[name=stage_high_0]").fill("much")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator(".notice[data-tone=bad]")).to_be_visible()


def _add_a_stage(page: Page, furnished: Furnished) -> None:
    page.get_by_role("radio", name=re.compile("^The course, lesson 1")).check(force=True)
    page.keyboard.press("a")
    page.get_by_role("button", name="Add a stage").click()
    expect(page.get_by_role("group", name="Stage 3")).to_be_visible()


def _choose_thorough(page: Page, furnished: Furnished) -> None:
    page.wait_for_load_state()
    page.keyboard.press("4")
    expect(page.get_by_text("How to copy the weights to the server")).to_be_visible()
    _open_all(page, furnished)


def _wait_for_advice(page: Page, furnished: Furnished) -> None:
    expect(page.locator(".advice")).to_be_visible(timeout=30_000)


def _look_at_one(page: Page, furnished: Furnished) -> None:
    _wait_for_advice(page, furnished)
    page.wait_for_load_state()
    page.locator("[data-view]").first.click()
    expect(page.get_by_role("dialog", name="One picture")).to_be_visible()


def _cover_a_part(page: Page, furnished: Furnished) -> None:
    page.wait_for_load_state()
    page.keyboard.press("h")
    page.locator(".heat-map").evaluate("(map) => map.decode()")
    page.keyboard.press("c")
    page.keyboard.press("Space")
    expect(page.locator("[data-cover-words]")).to_contain_text("With the cover")


def _select_pictures(page: Page, furnished: Furnished) -> None:
    tiles = page.locator("[data-tile]")
    tiles.nth(0).click()
    tiles.nth(2).click(modifiers=["Shift"])
    expect(page.locator("[data-selected]")).to_have_text("3 selected")


def _show_inside(page: Page, furnished: Furnished) -> None:
    """With what a look inside leaves: the models of this server can't be looked into."""
    services, checkpoint_id = furnished.server.services, furnished.checkpoints[-1]
    with services.database.read() as session:
        standing = inside_of(session, services, furnished.runs["succeeded"], checkpoint_id)
        images = [image_id for image_id, _ in VersionRepository(session).labels_of(furnished.version_id)]
    if standing.found is None:
        write_found(services.storage.folder("inside", checkpoint_id) / standing.key, images)
        page.reload()
    expect(page.get_by_role("heading", name="Block 3 of 3")).to_be_visible()
    _open_all(page, furnished)


def _choose_pictures(page: Page, furnished: Furnished) -> None:
    options = page.locator("[data-grid-list] [role=option]")
    options.nth(1).click()
    options.nth(3).click(modifiers=["Shift"])
    expect(page.locator(".panel")).to_be_visible() if _is_wide(page) else None


def _is_wide(page: Page) -> bool:
    return (page.viewport_size or {"width": 0})["width"] > 1024


PLACES: Final = {
    "home": Place("/"),
    "home, menu open": Place("/", _open_menu),
    "home, keys open": Place("/", _open_keys),
    "home, searching": Place("/", _search),
    "search, without scripts": Place("/search?q=a"),
    "new dataset": Place("/datasets/new"),
    "pictures, none": Place("/datasets/{empty_dataset}"),
    "pictures": Place("/datasets/{dataset}", _open_all),
    "pictures, renaming": Place("/datasets/{dataset}", _open_dialog("rename")),
    "pictures, deleting": Place("/datasets/{dataset}", _open_dialog("delete")),
    "from a link": Place("/datasets/{dataset}/from-link"),
    "from this server": Place("/datasets/{dataset}/from-server"),
    "from a bucket": Place("/datasets/{dataset}/from-bucket", _open_all),
    "all pictures": Place("/datasets/{dataset}/images"),
    "all pictures, one chosen": Place("/datasets/{dataset}/images", _choose_pictures),
    "all pictures, a run's mistakes": Place("/datasets/{dataset}/images?run={succeeded_run}&result=wrong&order=name"),
    "one picture": Place("/datasets/{dataset}/images/{image}"),
    "bin": Place("/bin"),
    "labels, no pictures": Place("/datasets/{empty_dataset}/labels"),
    "labels": Place("/datasets/{dataset}/labels", _open_all),
    "labels, broken rule": Place("/datasets/{dataset}/labels", _break_the_rule, ("422",)),
    "labels, table": Place("/datasets/{dataset}/labels", _choose_rule("A table"), ("422",)),
    "labels, expression": Place("/datasets/{dataset}/labels", _choose_rule("An expression"), ("422",)),
    "labels, list": Place("/datasets/{dataset}/labels", _choose_rule("A list"), ("422",)),
    "label by hand": Place("/datasets/{dataset}/labels/by-hand?show=all", _wait_for_classes),
    "label by hand, many": Place("/datasets/{dataset}/labels/by-hand?show=all", _label_many),
    "label by hand, nothing left": Place("/datasets/{dataset}/labels/by-hand"),
    "versions": Place("/datasets/{dataset}/versions", _open_all),
    "look": Place("/versions/{version}", _wait_for_worst),
    "look, other changes": Place("/versions/{version}?seed=1&max_rotate=40&max_lighting=0.5", _wait_for_worst),
    "map, nothing examined": Place("/datasets/{empty_dataset}/map"),
    "map": Place("/datasets/{dataset}/map", _draw_map),
    "map, some selected": Place("/datasets/{dataset}/map", _select_on_map),
    "health": Place("/datasets/{dataset}/health", _wait_for_shortcuts),
    "train": Place("/versions/{version}/train", _open_all),
    "train, from a model": Place("/versions/{version}/train?starts_from={first_checkpoint}", _open_all),
    "train, a card of three stages": Place("/versions/{version}/train", _add_a_stage),
    "train, weights that are not here": Place("/versions/{version}/train", _choose_thorough),
    "train, refused": Place("/versions/{version}/train", _order_nonsense, ("422",)),
    "runs": Place("/runs"),
    "run, queued": Place("/runs/{queued_run}"),
    "run, paused, from another's model": Place("/runs/{continued_run}"),
    "run, running": Place("/runs/{running_run}", _wait_for_curves),
    "run, succeeded": Place("/runs/{succeeded_run}", _wait_for_curves),
    "run, failed": Place("/runs/{failed_run}", _open_all),
    "run, cancelled": Place("/runs/{cancelled_run}", _open_all),
    "find a rate, slope": Place("/lr-finds/{slope_find}", _wait_for_marker),
    "find a rate, everything": Place("/lr-finds/{everything_find}", _wait_for_marker),
    "find a rate, no slope": Place("/lr-finds/{rising_find}", _wait_for_marker),
    "find a rate, waiting": Place("/lr-finds/{waiting_find}"),
    "understand, nothing yet": Place("/runs/{queued_run}/understand"),
    "understand": Place("/runs/{succeeded_run}/understand", _wait_for_advice),
    "understand, one picture": Place("/runs/{succeeded_run}/understand", _look_at_one),
    "understand, first stage": Place("/runs/{succeeded_run}/understand?checkpoint={checkpoint}", _wait_for_advice),
    "confusions": Place("/runs/{succeeded_run}/understand/confusions"),
    "confusions, by mistakes": Place("/runs/{succeeded_run}/understand/confusions?order=mistakes&numbers=shares"),
    "top losses": Place("/runs/{succeeded_run}/understand/top-losses"),
    "classes": Place("/runs/{succeeded_run}/understand/classes"),
    "how sure": Place("/runs/{succeeded_run}/understand/sure?shown=true&threshold=90&refused=5&limit-0=95", _open_all),
    "inside, not looked at": Place("/runs/{succeeded_run}/understand/inside?checkpoint={first_checkpoint}"),
    "inside": Place("/runs/{succeeded_run}/understand/inside?checkpoint={checkpoint}", _show_inside),
    "how sure, nothing chosen": Place("/runs/{succeeded_run}/understand/sure?checkpoint={first_checkpoint}"),
    "report": Place("/runs/{succeeded_run}/report"),
    "fix": Place("/runs/{succeeded_run}/fix?from=top-losses", _wait_for_classes),
    "fix, as a grid": Place("/runs/{succeeded_run}/fix?from=top-losses&view=grid", _select_pictures),
    "fix, nothing left": Place("/runs/{succeeded_run}/fix?from=class&class=nobody"),
    "one test picture": Place("/runs/{succeeded_run}/images/{image}"),
    "one test picture, part covered": Place("/runs/{succeeded_run}/images/{image}", _cover_a_part),
    "pictures of a cell": Place("/runs/{succeeded_run}/images?wrong=true"),
    "compare, two stages": Place(
        "/runs/{succeeded_run}/compare/{succeeded_run}?checkpoint={first_checkpoint}&other_checkpoint={checkpoint}"
    ),
    "compare, nothing yet": Place("/runs/{queued_run}/compare"),
    "try": Place("/checkpoints/{checkpoint}/try", _open_all),
    "try, answered": Place("/checkpoints/{checkpoint}/try?image={image}"),
    "nothing there": Place("/datasets/0193a1b2c3d47e8f9a0b1c2d3e4f5a6b", expected=("404",)),
}
EMPTY_PLACES: Final = ("/", "/datasets/new", "/runs", "/bin", "/sign-in")
