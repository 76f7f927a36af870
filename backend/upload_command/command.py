"""The command itself: which server, which dataset, what is shown meanwhile, and what came of it."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from backend.accounts.tokens import owner_key
from backend.domain.json import Json
from backend.settings import Settings
from backend.templating import counted
from backend.upload_command.client import Client
from backend.upload_command.errors import ImportFailed, KeyMissing, NothingToSend, PlaceMissing
from backend.upload_command.files import LocalFile, files_in
from backend.upload_command.folder import FolderUpload
from backend.upload_command.resumable import earlier_import, send_resumable

_ENDED: Final = ("succeeded", "failed", "cancelled")
_LISTED: Final = 20
_POLLED_EVERY_S: Final = 0.5


def run_upload(settings: Settings, place: Path, dataset: str, *, server: str | None, waits: bool = True) -> None:
    """Send a folder, an archive or a single picture into the dataset of that name, which is made if there is none.

    Args:
        server: its address; None: the one that this machine's settings describe.
        waits: whether to wait until the server has read an archive.

    Raises:
        KeyMissing: another server is named, and no key for it is set.
        AppError: it can't go on; the message says why, and repeating the command sends what is missing.
    """
    if not place.exists():
        raise PlaceMissing(str(place))
    with _Shown() as shown:
        address = server or _address(settings)
        client = Client(address, _key_for(address, settings), on_wait=shown.wait_for)
        try:
            _send(client, place, dataset, shown, waits=waits)
        finally:
            client.close()


def _send(client: Client, place: Path, name: str, shown: "_Shown", *, waits: bool) -> None:
    if place.is_dir():
        files = list(files_in(place))
        if not files:
            raise NothingToSend(str(place))
        dataset = _dataset(client, name)
        shown.begin(counted(len(files), "file"), sum(file.size for file in files))
        upload = FolderUpload(
            client,
            dataset["id"],
            asks_first=dataset["images"] > 0,
            on_progress=shown.advance,
        )
        found = upload.send(files)
        done = counted(found.files, "file")
        shown.end(_summary(done, found.added, found.already_there, found.ignored, found.tables, found.left_out))
        return
    file = LocalFile(place, place.name, place.stat().st_size)
    if file.size == 0:
        raise NothingToSend(str(place))
    dataset = _dataset(client, name)
    shown.begin(file.path, file.size)
    if not place.name.lower().endswith((".zip", ".tar", ".tgz", ".tar.gz")):
        added: Any = send_resumable(client, dataset["id"], file, "picture", shown.reach)["result"]  # Any: JSON
        shown.end(_summary(file.path, **_counts(added)))
        return
    import_id = _import_that_counts(client, dataset, file)
    if import_id is None:
        import_id = send_resumable(client, dataset["id"], file, "archive", shown.reach)["import_id"]
    if waits and import_id:
        shown.end(_summary(file.path, **_counts(_imported(client, import_id, shown))))
    else:
        shown.end(f"{file.path} has arrived; the server reads it now.")


def _import_that_counts(client: Client, dataset: dict[str, Json], file: LocalFile) -> str | None:
    """An earlier import of the same archive, unless it failed or its pictures were deleted since."""
    import_id = earlier_import(client, dataset["id"], file)
    if import_id is None:
        return None
    found = client.json("GET", f"/imports/{import_id}")
    is_there = dataset["images"] >= found["added"] + found["already_there"]
    return import_id if found["status"] not in ("failed", "cancelled") and is_there else None


def _dataset(client: Client, name: str) -> dict[str, Json]:
    """The newest dataset of that name, or a new one."""
    after = None
    while True:
        page: Any = client.json("GET", "/datasets", params={"limit": 1000, **({"after": after} if after else {})})
        for dataset in page["items"]:
            if dataset["name"] == name.strip():
                found: dict[str, Json] = dataset
                return found
        if (after := page["next"]) is None:
            headers = {"Idempotency-Key": uuid.uuid4().hex}
            return client.json("POST", "/datasets", json={"name": name}, headers=headers)


def _imported(client: Client, import_id: str, shown: "_Shown") -> dict[str, Json]:
    """An import that has ended well. Raises ImportFailed."""
    while True:
        found = client.json("GET", f"/imports/{import_id}")
        if found["status"] in _ENDED:
            break
        shown.say(f"The server reads it: {counted(found['entries'], 'file')} so far")
        time.sleep(_POLLED_EVERY_S)
    if found["status"] == "succeeded":
        return found
    failure = found["failure"] or {"message": "The import was cancelled.", "advice": "What was added before is kept."}
    raise ImportFailed(failure["message"], advice=failure["advice"])


def _counts(answer: dict[str, Json]) -> dict[str, Any]:  # Any: numbers and a list
    left_out = [(one["path"], one["message"]) for one in answer["rejected"]]
    return {name: answer[name] for name in ("added", "already_there", "ignored", "tables")} | {"left_out": left_out}


def _summary(
    sent: str, added: int, already_there: int, ignored: int, tables: int, left_out: list[tuple[str, str]]
) -> str:
    parts = [f"{counted(added, 'picture')} added"]
    parts += [f"{already_there:,} already there"] if already_there else []
    parts += [counted(tables, "table")] if tables else []
    parts += [f"{counted(ignored, 'hidden or system file')} skipped"] if ignored else []
    parts += [f"{counted(len(left_out), 'file')} left out"] if left_out else []
    lines = [f"{sent}: {', '.join(parts)}."]
    lines += [f"  {path}: {reason}" for path, reason in left_out[:_LISTED]]
    lines += [f"  … and {len(left_out) - _LISTED:,} more; the dataset's page lists them."] if left_out[_LISTED:] else []
    return "\n".join(lines)


def _address(settings: Settings) -> str:
    if settings.base_url:
        return settings.base_url
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _key_for(address: str, settings: Settings) -> str:
    """The key that is sent there: this machine's own goes to its own server alone."""
    if not settings.token and address.rstrip("/") != _address(settings).rstrip("/"):
        raise KeyMissing(address)
    return owner_key(settings)


class _Shown:
    """A bar on a terminal, and nothing but the result where nobody looks."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task: TaskID | None = None
        self._what = ""
        self.reach: Callable[[int], None] = lambda offset: self._update(completed=offset)

    def __enter__(self) -> "_Shown":
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()

    def begin(self, what: str, size: int) -> None:
        """Show the bar."""
        self._what = what
        self._progress.start()
        self._task = self._progress.add_task(what, total=size)

    def advance(self, size: int) -> None:
        """So many more bytes are done."""
        if self._task is not None:
            self._progress.advance(self._task, size)

    def say(self, words: str) -> None:
        """Words in place of the name of what is sent."""
        self._update(description=words)

    def wait_for(self, words: str) -> None:
        """Say what is waited for; an empty sentence when it goes on."""
        self._update(description=words or self._what)

    def end(self, words: str) -> None:
        """Leave the result in place of the bar."""
        self._progress.stop()
        typer.echo(words)

    def _update(self, **values: Any) -> None:  # Any: rich's arguments
        if self._task is not None:
            self._progress.update(self._task, **values)
