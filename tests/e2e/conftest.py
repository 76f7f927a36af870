"""A real server and a real browser. Whatever a page complains about in the console fails the test."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Playwright, expect, sync_playwright

from tests.e2e.furnished import Furnished, Wording, furnish
from tests.e2e.server import Server as Server
from tests.e2e.server import serving as serving
from tests.fixtures.pictures import folder_of_shapes
from tests.fixtures.serve_process import ServeProcess

MANY_CLASSES = tuple(f"class of pictures number {number}" for number in range(37))
# The shell is the same browser without windows: a page costs it less than half of the processor time.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Complaints:
    """What pages said in the console and which exceptions nobody caught."""

    found: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def note(self, message: ConsoleMessage) -> None:
        """Remember errors, refusals by the content security policy among them."""
        if message.type == "error" and not any(part in message.text for part in self.expected):
            self.found.append(message.text)

    def note_dialog(self, dialog: Dialog) -> None:
        """Nothing of ours ever opens one: somebody's text was run."""
        self.found.append(f"A dialog said: {dialog.message}")
        dialog.dismiss()


# What the policy refuses is an error in the console as well, but not everywhere: reports are louder.
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`Content-Security-Policy: ${event.violatedDirective} refused ${event.blockedURI} on ${location.href}`));
"""


# For a file and no longer: its event loop would be in the way of tests that run one of their own.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """The driver."""
    # Five seconds, its default, are not enough where other tests keep all cores busy; whoever waits, waits no longer.
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        yield playwright


def installed_chromium() -> str | None:
    """The path of the browser that is installed on this computer."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """An installed Chromium, else playwright's own."""
    browser = playwright.chromium.launch(executable_path=installed_chromium(), args=list(CHROMIUM_ARGUMENTS))
    yield browser
    browser.close()


@pytest.fixture
def root_path(request: pytest.FixtureRequest) -> str:
    """Where a proxy serves us: the root, or what the test's parameter says."""
    found: str = getattr(request, "param", "")
    return found


@pytest.fixture
def server(tmp_path: Path, migrated_sqlite: Path, root_path: str) -> Iterator[Server]:
    """A server of its own with nothing in it."""
    with serving(tmp_path, migrated_sqlite, root_path) as server:
        yield server


# Servers for all tests that only look. Whoever changes something, or stops the server, has one of its own.


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Furnished]:
    """Three classes of eight pictures, with runs in every state."""
    with serving(tmp_path_factory.mktemp("furnished"), migrated_sqlite) as server:
        yield furnish(server)


@pytest.fixture(scope="session")
def crowded(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Furnished]:
    """As many classes as the course's pets."""
    with serving(tmp_path_factory.mktemp("crowded"), migrated_sqlite) as server:
        yield furnish(server, Wording(dataset="pets", classes=MANY_CLASSES), each=12)


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Server]:
    """Nothing yet."""
    with serving(tmp_path_factory.mktemp("empty"), migrated_sqlite) as server:
        yield server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tested_sqlite: Path) -> Iterator[ServeProcess]:
    """A ``tellapart serve`` with nothing in it, as a user starts it, for all tests of a file."""
    served = ServeProcess(tmp_path_factory.mktemp("served"), database=tested_sqlite)
    served.wait_until_ready()
    yield served
    served.end()


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Complaints of the pages; there must be none but those that are expected."""
    complaints = Complaints()
    yield complaints
    assert complaints.found == []


@contextmanager
def watched_page(browser: Browser, complaints: Complaints, width: int = 1280) -> Iterator[Page]:
    """A tab in a browser window of its own; whatever it complains about is noted."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.add_init_script(REPORT_VIOLATIONS)
    context.on("console", complaints.note)
    context.on("dialog", complaints.note_dialog)
    context.on("weberror", lambda error: complaints.found.append(str(error.error)))
    yield context.new_page()
    context.close()


@pytest.fixture
def page(browser: Browser, server: Server, complaints: Complaints) -> Iterator[Page]:
    """Ana, signed in."""
    with watched_page(browser, complaints) as page:
        page.goto(server.sign_in)
        yield page


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """A folder ``shapes`` with eight pictures of each of three classes, a folder for each class."""
    for path, content in folder_of_shapes(each=8).items():
        file = tmp_path / "brought" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "brought" / "shapes"


def drop(page: Page, *paths: Path) -> None:
    """Drop files or folders onto the middle of the page, as a person does from a file manager."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 400, "data": data})
    session.detach()
