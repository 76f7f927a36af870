"""The whole journey on a server as a user starts it: real worker, message broker, network weights and browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Complaints, drop, watched_page
from tests.fixtures.pictures import CLASSES, draw, encode
from tests.fixtures.processes import wait_until
from tests.fixtures.serve_process import ServeProcess

pytestmark = [pytest.mark.e2e, pytest.mark.weights]

EACH = 20
SLOW = 180_000
"""Milliseconds for what a worker does: it starts, loads torch, trains and exports on a processor that is busy."""
SOON = 30_000
"""Milliseconds for what must come within seconds, however busy the machine is."""


@pytest.fixture
def page(browser: Browser, served: ServeProcess, complaints: Complaints) -> Iterator[Page]:
    """Ana, who has clicked on a link that signs her in; each works once, so every test has one of its own."""
    with watched_page(browser, complaints) as page:
        page.goto(served.new_link())
        yield page


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as people have them: three folders in one more, a broken file, a hidden one and a note."""
    folder = tmp_path_factory.mktemp("disk") / "shapes"
    for shape in CLASSES:
        (folder / "2026" / shape).mkdir(parents=True)
        for number in range(EACH):
            (folder / "2026" / shape / f"{shape}_{number}.png").write_bytes(encode(draw(shape, number)))
    (folder / "2026" / "circle" / "circle_99.jpg").write_bytes(b"this was a picture once")
    (folder / "2026" / ".DS_Store").write_bytes(b"\0")
    return folder


def test_from_a_dropped_folder_to_an_answer(page: Page, served: ServeProcess, brought: Path, tmp_path: Path) -> None:
    _bring(page, brought)
    _say_what_they_show(page)
    _look(page)
    _train(page)
    _watch(page)
    _understand(page)
    _try(page, served, tmp_path)


def test_trainings_wait_in_line_and_can_be_cancelled(page: Page, served: ServeProcess, brought: Path) -> None:
    with served.client() as client:
        version_id = _version(client, brought)
        first, second, third = (_order_a_long_one(client, version_id) for _ in range(3))
        page.goto(f"http://127.0.0.1:{served.port}/runs/{third}")
        _never_reload(page)
        expect(page.get_by_text("Queued: 2nd in the queue.")).to_be_visible(timeout=SLOW)
        client.post(f"/api/v1/runs/{second}/cancel")
        expect(page.get_by_text("Queued: next up.")).to_be_visible(timeout=SOON)
        assert _was_never_reloaded(page)

        page.goto(f"http://127.0.0.1:{served.port}/runs/{first}")
        expect(page.get_by_role("cell", name=re.compile(r"^0\.\d{6}$")).first).to_be_visible(timeout=SLOW)
        page.get_by_role("button", name="Cancel").click()
        _never_reload(page)

        expect(page.get_by_text("This training was cancelled.")).to_be_visible(timeout=SOON)
        expect(page.get_by_role("link", name="Train again")).to_be_visible()
        assert _was_never_reloaded(page)
        # The line moves on by itself.
        wait_until(lambda: _status(client, third) == "running", "the next one has begun", SLOW / 1000)
        client.post(f"/api/v1/runs/{third}/cancel")
        wait_until(lambda: _status(client, third) == "cancelled", "it has ended", SLOW / 1000)


def _bring(page: Page, brought: Path) -> None:
    expect(page.get_by_role("heading", name="Teach a computer to tell your pictures apart")).to_be_visible()

    drop(page, brought)

    expect(page.get_by_role("heading", name="shapes", exact=True)).to_be_visible()
    expect(page.get_by_text("60 pictures added · 1 file left out · 1 hidden or system file skipped")).to_be_visible(
        timeout=30_000
    )
    expect(page.locator("[data-live=counts]")).to_contain_text("60 pictures, ")
    page.get_by_text("1 file was left out").click()
    left_aside = page.get_by_role("listitem").filter(has_text="shapes/2026/circle/circle_99.jpg")
    expect(left_aside).to_contain_text("It is a text, not a picture.")
    # The same folder once more, chosen instead of dropped: nothing comes twice.
    page.locator("input[webkitdirectory]").set_input_files(brought)
    expect(page.get_by_text("60 already here")).to_be_visible(timeout=30_000)


def _say_what_they_show(page: Page) -> None:
    page.get_by_role("link", name="Next: check the labels").click()
    _arrive(page, "How can we tell what a picture shows?")
    expect(page.get_by_text("Suggested: the folder each picture is in; this fits 60 of 60 pictures")).to_be_visible()
    expect(page.get_by_role("heading", name="3 classes")).to_be_visible()
    assert page.locator(".class-row").all_inner_texts() == [f"{shape}\n20" for shape in CLASSES]

    page.get_by_role("radio", name="Its file name").check(force=True)
    page.get_by_label("Pattern").fill(r"_1(\d)\.png$")
    # The process that evaluates patterns may still be starting.
    expect(page.get_by_role("heading", name="10 classes")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("30 labelled, 30 not")).to_be_visible()
    page.get_by_label("Pattern").fill(r"/([a-z]+)_\d+\.png$")
    expect(page.get_by_role("heading", name="3 classes")).to_be_visible()
    page.get_by_role("button", name="These labels are right").click()


def _look(page: Page) -> None:
    _arrive(page, "What the network will see")
    shown = page.locator(".batch-item > img")
    expect(shown).to_have_count(9)
    first_nine = _sources(shown)
    assert set(page.locator(".batch-title").all_inner_texts()) <= set(CLASSES)

    page.get_by_role("button", name="Another nine").click()

    expect(shown.first).not_to_have_attribute("src", first_nine[0])
    # Mirroring is on by default, by a box beside a hidden field; nobody has touched it.
    assert "flip" not in page.url
    expect(shown).to_have_count(9)
    assert _sources(shown) != first_nine
    assert all(
        shown.nth(number).evaluate("it => it.decode().then(() => it.naturalWidth)") == 224 for number in range(9)
    )
    page.get_by_role("link", name="Looks right: train").click()


def _train(page: Page) -> None:
    _arrive(page, "Train on version 1")
    page.locator("summary", has_text="Advanced").click()
    page.get_by_label("Picture size (pixels)", exact=True).fill("64")
    page.get_by_label("Batch size", exact=True).fill("8")
    page.get_by_role("button", name="Remove stage 2").click()
    stage = page.get_by_role("group", name="Stage 1")
    stage.get_by_label("Layers to train", exact=True).select_option(label="the last layers (frozen)")
    stage.get_by_label("Epochs", exact=True).fill("2")
    expect(page.locator(".forecast")).to_contain_text("64 px")
    expect(page.locator(".forecast")).to_contain_text("2 epochs on the last layers")
    page.get_by_role("button", name="Train", exact=True).click()


def _watch(page: Page) -> None:
    expect(page.get_by_role("heading", name=re.compile("^shapes, "))).to_be_visible()
    _never_reload(page)
    rows = page.locator(".epoch-table tbody tr")
    expect(rows.nth(1)).to_contain_text(re.compile(r"^1\s*0\.\d{6}|^1\s*1\.\d{6}|^1\s*2\.\d{6}"), timeout=SLOW)
    expect(page.locator(".badge", has_text=re.compile("^\\s*Done"))).to_be_visible(timeout=SLOW)

    assert page.locator(".epoch-table th[scope=col]").all_inner_texts() == [
        "epoch", "train_loss", "valid_loss", "error_rate", "time",
    ]  # fmt: skip
    for number in range(2):
        assert re.fullmatch(
            rf"{number}\s+\d+\.\d{{6}}\s+\d+\.\d{{6}}\s+[01]\.\d{{6}}\s+\d\d:\d\d", rows.nth(number).inner_text()
        )
    expect(page.get_by_text("test pictures that it wasn't trained on")).to_be_visible()
    expect(page.locator("[data-curves] canvas").first).to_be_visible()
    assert _was_never_reloaded(page)
    page.get_by_role("link", name="See what it gets wrong").click()


def _understand(page: Page) -> None:
    expect(page.get_by_role("heading", name=re.compile(r"^\d+(\.\d)? % right$"))).to_be_visible()
    page.get_by_role("navigation", name="Results").get_by_role("link", name="Confusion matrix").click()
    matrix = page.get_by_role("grid", name=re.compile("^Confusion matrix"))
    expect(matrix.get_by_role("columnheader", name="circle")).to_be_visible()

    expect(matrix.locator("td[tabindex='0']")).to_have_count(1)
    matrix.get_by_role("gridcell", name=re.compile("^actual circle, predicted circle: ")).focus()
    page.keyboard.press("ArrowRight")
    expect(matrix.get_by_role("gridcell", name=re.compile("^actual circle, predicted cross: "))).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(matrix.get_by_role("gridcell", name=re.compile("^actual square, predicted cross: "))).to_be_focused()
    page.keyboard.press("Control+Home")
    expect(matrix.get_by_role("gridcell", name=re.compile("^actual circle, predicted circle: "))).to_be_focused()
    _open_a_cell_by_key(page, matrix)
    _look_at_most_confused(page)

    page.get_by_role("navigation", name="Results").get_by_role("link", name="Top losses").click()
    _arrive(page, "Top losses")
    losses = [float(text.removeprefix("loss ")) for text in page.locator(".answer-loss").all_inner_texts()]
    assert losses == sorted(losses, reverse=True)
    page.locator("[data-view]").first.click()
    viewer = page.get_by_role("dialog", name="One picture")
    expect(viewer.get_by_text(f"1 of {len(losses)}")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(viewer.get_by_text(f"2 of {len(losses)}")).to_be_visible()
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()


def _open_a_cell_by_key(page: Page, matrix: Locator) -> None:
    cell = matrix.get_by_role("gridcell", name=re.compile(r"\d+ pictures?$")).first
    words = cell.get_attribute("aria-label") or ""
    found = re.fullmatch(r"actual (\w+), predicted (\w+): (\d+) pictures?", words)
    assert found, words
    actual, predicted, count = found.groups()
    cell.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Actual {actual}, predicted {predicted}: {count} picture")).to_be_visible()
    expect(page.locator("[data-matrix-pictures] [data-view]")).to_have_count(min(12, int(count)))
    page.get_by_role("link", name="Open all").click()
    expect(page.get_by_role("heading", name=f"{actual}, predicted {predicted}")).to_be_visible()
    expect(page.locator("[data-view]")).to_have_count(int(count))
    page.go_back()


def _look_at_most_confused(page: Page) -> None:
    """Its list and its matrix say the same."""
    expect(page.get_by_role("heading", name="Most confused")).to_be_visible()
    mistakes = page.locator(".matrix td[data-level]:not([data-right]) a").all_inner_texts()
    counts = page.locator("[data-pair-count]")
    listed = [count.get_attribute("data-pair-count") for count in counts.all()]
    assert sorted(map(str, listed)) == sorted(mistakes)
    if not mistakes:
        expect(page.get_by_text("No two classes were confused on")).to_be_visible()


def _try(page: Page, served: ServeProcess, folder: Path) -> None:
    page.get_by_role("link", name="Try the model").click()
    _arrive(page, "Try the model")
    picture = folder / "from my phone.png"
    picture.write_bytes(encode(draw("circle", 500)))
    _never_reload(page)

    with _training_meanwhile(served):
        page.get_by_label("Choose pictures").set_input_files(picture)

        answer = page.locator(".answer")
        expect(answer.get_by_role("heading", name=re.compile("circle|cross|square"))).to_be_visible(timeout=30_000)
        expect(answer).to_contain_text("from my phone.png")
        expect(answer.locator("meter")).to_have_count(3)
        assert _was_never_reloaded(page)
        _same_by_program(page, served, picture)


@contextmanager
def _training_meanwhile(served: ServeProcess) -> Iterator[None]:
    """Another training of the same version is at work while the block lasts."""
    with served.client() as client:
        (done,) = client.get("/api/v1/runs").json()["items"]
        run_id = _order_a_long_one(client, done["version_id"])
        wait_until(lambda: _status(client, run_id) == "running", "the training has begun", SLOW / 1000)
        yield
        assert _status(client, run_id) == "running"
        client.post(f"/api/v1/runs/{run_id}/cancel")
        wait_until(lambda: _status(client, run_id) == "cancelled", "it has ended", SLOW / 1000)


def _same_by_program(page: Page, served: ServeProcess, picture: Path) -> None:
    checkpoint_id = page.url.split("/")[-2]
    with served.client() as client:
        answer = client.post(
            f"/api/v1/checkpoints/{checkpoint_id}/predictions", files={"files": ("circle.png", picture.read_bytes())}
        ).json()
    (item,) = answer["items"]
    assert sorted(item["probabilities"]) == sorted(CLASSES)
    assert item["predicted"] in page.locator(".answer h2").inner_text()
    shown = dict(
        zip(page.locator(".bar-name").all_inner_texts(), page.locator(".bars .number").all_inner_texts(), strict=True)
    )
    assert shown == {name: f"{100 * share:.1f} %" for name, share in item["probabilities"].items()}


def _order_a_long_one(client: httpx.Client, version_id: str) -> str:
    """A training that goes on until it is stopped; its id."""
    stages = [{"freeze": False, "epochs": 900}]
    config = {"image_size": 32, "batch_size": 8, "stages": stages}
    run_id: str = client.post("/api/v1/runs", json={"version_id": version_id, "config": config}).json()["id"]
    return run_id


def _status(client: httpx.Client, run_id: str) -> str:
    status: str = client.get(f"/api/v1/runs/{run_id}").json()["status"]
    return status


def _version(client: httpx.Client, brought: Path) -> str:
    dataset_id = client.post("/api/v1/datasets", json={"name": "queue"}).json()["id"]
    files = [("files", (str(path.relative_to(brought)), path.read_bytes())) for path in sorted(brought.rglob("*.png"))]
    client.post(f"/api/v1/datasets/{dataset_id}/images", files=files)
    rule = {"kind": "folder", "level": 1}
    version_id: str = client.post(f"/api/v1/datasets/{dataset_id}/versions", json={"rule": rule}).json()["id"]
    return version_id


def _arrive(page: Page, heading: str) -> None:
    """A page has come, its scripts included: what is clicked before is answered without them."""
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    page.wait_for_load_state()


def _sources(images: Locator) -> list[str]:
    sources: list[str] = images.evaluate_all("all => all.map((it) => it.getAttribute('src'))")
    return sources


def _never_reload(page: Page) -> None:
    """Put a mark on the page that a reload would wipe off."""
    page.evaluate("window.wasNeverReloaded = true")


def _was_never_reloaded(page: Page) -> bool:
    return bool(page.evaluate("window.wasNeverReloaded === true"))
