"""A real server in a thread of this process."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from backend.accounts.tokens import ensure_owner_token
from backend.app import create_app
from backend.dependencies import Services
from backend.settings import load
from tests.conftest import OWNER_TOKEN


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

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._running is not None

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
        self._thread.join(3)
        self._running = None


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
