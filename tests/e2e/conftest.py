"""A real server and a real browser. Whatever a page complains about in the console fails the test."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Playwright, sync_playwright

from backend.accounts.tokens import ensure_owner_token
from backend.app import create_app
from backend.dependencies import Services
from backend.settings import load
from tests.conftest import OWNER_TOKEN
from tests.fixtures.pictures import folder_of_shapes

CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(slots=True)
class Server:
    """A server that can go away and come back at the same address; without a worker."""

    app: FastAPI
    root_path: str = ""
    port: int = 0
    _running: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}{self.root_path}"

    @property
    def services(self) -> Services:
        """What its routes work with."""
        services: Services = self.app.state.services
        return services

    @property
    def sign_in(self) -> str:
        """The address that signs the owner in."""
        return f"{self.url}/sign-in?token={OWNER_TOKEN}"

    def start(self) -> None:
        """Listen on a free port, or on the one it had."""
        config = uvicorn.Config(
            self.app, host="127.0.0.1", port=self.port, log_level="warning", timeout_graceful_shutdown=1
        )
        self._running = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._running.run, daemon=True)
        self._thread.start()
        while not self._running.started:
            time.sleep(0.02)
        self.port = self._running.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Go away; open connections are cut."""
        if self._running is None or self._thread is None:
            return
        self._running.should_exit = True
        self._thread.join(10)
        self._running = None


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


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The driver."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """An installed Chromium, else playwright's own."""
    installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    browser = playwright.chromium.launch(executable_path=installed, args=list(CHROMIUM_ARGUMENTS))
    yield browser
    browser.close()


@pytest.fixture
def root_path(request: pytest.FixtureRequest) -> str:
    """Where a proxy serves us: the root, or what the test's parameter says."""
    found: str = getattr(request, "param", "")
    return found


@contextmanager
def serving(folder: Path, migrated: Path, root_path: str = "") -> Iterator[Server]:
    """A server on a free port, its data in ``folder``, with an empty database and no worker."""
    shutil.copy(migrated, folder / "tellapart.sqlite3")
    settings = load(
        _env_file=None,
        data=folder,
        DATABASE_URL=f"sqlite:///{folder / 'tellapart.sqlite3'}",
        STORAGE_URL=f"file://{folder / 'storage'}",
        token=OWNER_TOKEN,
        base_url=f"http://127.0.0.1{root_path}",
    )
    app = create_app(settings)
    ensure_owner_token(app.state.services.database, settings)
    server = Server(app, root_path)
    server.start()
    yield server
    server.stop()
    app.state.services.database.dispose()


@pytest.fixture
def server(tmp_path: Path, migrated_sqlite: Path, root_path: str) -> Iterator[Server]:
    """A server of its own with nothing in it."""
    with serving(tmp_path, migrated_sqlite, root_path) as server:
        yield server


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
