"""``tellapart demo``: the whole journey without a browser, on a private server, through the same REST API as anybody.

The pictures are the 1,797 handwritten digits that scikit-learn carries; nothing is downloaded.
"""

import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from backend.children import Child, end_all
from backend.domain.errors import AppError
from backend.domain.json import Json
from backend.domain.results import accuracy_words

PATTERN: Final = r"/(\d)_\d+\.png$"
START_PATIENCE_S: Final = 60.0
LOOK_EVERY_S: Final = 0.3
_FINAL: Final = frozenset({"succeeded", "failed", "cancelled"})
# The scans are 8 x 8 pixels, so a small picture loses nothing; a mirrored digit is no digit.
_PICTURES: Final = {"image_size": 64, "batch_size": 64, "augmentation": {"flip": False, "max_rotate": 10.0}}


class DemoFailed(AppError):
    """A step of the journey didn't end as it should."""

    code = "demo-failed"


def run_demo(data: Path | None, *, epochs: int) -> None:
    """Go through the journey and print what comes out; all that was started ends with it.

    Raises:
        DemoFailed: a step failed; the message says which and why.
    """
    console = Console(highlight=False)
    with ExitStack() as stack:
        stack.enter_context(_ctrl_c_and_sigterm_unwind())
        folder = stack.enter_context(_folder(data))
        console.print("Starting a private Tellapart …")
        api = stack.enter_context(_private_server(folder))
        try:
            _journey(Journey(api, console), epochs=epochs)
        except httpx.HTTPError as error:
            raise DemoFailed(f"The private server stopped answering: {error}. Its log: {_tail(folder)}") from error


def _journey(journey: "Journey", *, epochs: int) -> None:
    dataset_id = journey.bring_digits()
    version_id = journey.label(dataset_id)
    run = journey.train(version_id, epochs)
    journey.show_epochs(run["id"])
    journey.show_mistakes(run["id"])
    journey.predict(dataset_id, version_id, run["checkpoints"])


class Journey:
    """The six steps; each prints what a person would look at."""

    def __init__(self, api: httpx.Client, console: Console) -> None:
        self._api = api
        self._console = console

    def bring_digits(self) -> str:
        """Make a dataset of the sample; its id."""
        dataset: Json = self._post("/datasets", {"name": "Handwritten digits"})
        import_ = self._post(f"/datasets/{dataset['id']}/from-urls", {"sample": "digits"})
        with self._progress("Bringing the pictures") as bar:
            while import_["status"] not in _FINAL:
                time.sleep(LOOK_EVERY_S)
                import_ = self._get(f"/imports/{import_['id']}")
                bar(import_["progress"], f"{import_['added'] + import_['already_there']:,} pictures")
        if import_["status"] != "succeeded":
            raise DemoFailed(f"The sample could not be brought in. {_reason(import_)}")
        return str(dataset["id"])

    def label(self, dataset_id: str) -> str:
        """Read the labels by a pattern and freeze them; the version's id."""
        reading = {
            "rule": {"kind": "pattern", "pattern": PATTERN},
            "split": {"kind": "random", "valid": 0.2, "test": 0.0, "seed": 42},
        }
        preview = self._post(f"/datasets/{dataset_id}/labels/preview", reading)
        classes = ", ".join(f"{found['name']} ({found['images']})" for found in preview["classes"])
        self._console.print(f"Labels by the pattern [bold]{PATTERN}[/bold]:", classes)
        version = self._post(f"/datasets/{dataset_id}/versions", reading)
        return str(version["id"])

    def train(self, version_id: str, epochs: int) -> Json:
        """Train a classifier; the finished run."""
        config = {"recipe": "recommended", "stages": [{"freeze": False, "epochs": epochs, "max_lr": [3e-4, 3e-3]}]}
        order = {"version_id": version_id, "name": "Demo", "config": config | _PICTURES}
        run = self._post("/runs", order)
        with self._progress("Training") as bar:
            while run["status"] not in _FINAL:
                time.sleep(LOOK_EVERY_S)
                run = self._get(f"/runs/{run['id']}")
                bar(run["progress"] or 0.0, _words(run))
        if run["status"] != "succeeded":
            raise DemoFailed(f"The training ended {run['status']}. {_reason(run)}")
        return run

    def show_epochs(self, run_id: str) -> None:
        """Print the table of the course."""
        table = Table("epoch", "train_loss", "valid_loss", "error_rate", "time")
        for column in table.columns:
            column.justify = "right"
        for epoch in self._get(f"/runs/{run_id}/epochs")["items"]:
            minutes, seconds = divmod(round(epoch["duration_s"]), 60)
            losses = (f"{epoch[name]:.6f}" for name in ("train_loss", "valid_loss", "error_rate"))
            table.add_row(str(epoch["epoch"]), *losses, f"{minutes:02d}:{seconds:02d}")
        self._console.print(table)

    def show_mistakes(self, run_id: str) -> None:
        """Print how often it errs, and which classes it confuses most."""
        evaluation = self._get(f"/runs/{run_id}/evaluation")
        images = evaluation["images"]
        errors = round(evaluation["error_rate"] * images)
        self._console.print(f"{accuracy_words(errors, images)} on {images:,} pictures that it wasn't trained on.")
        pairs = self._get(f"/runs/{run_id}/most-confused?min_count=1")["items"][:5]
        if not pairs:
            self._console.print("No two classes were confused.")
            return
        table = Table("actual", "predicted", "times", title="Most confused")
        for pair in pairs:
            table.add_row(pair["actual"], pair["predicted"], str(pair["count"]))
        self._console.print(table)

    def predict(self, dataset_id: str, version_id: str, checkpoints: list[Any]) -> None:
        """Ask the finished classifier about one picture that was held out."""
        held_out = self._get(f"/datasets/{dataset_id}/images?version={version_id}&split=valid&limit=1")["items"][0]
        picture = self._checked(self._api.get(_below_api(held_out["url"])))
        checkpoint_id = next(one["id"] for one in checkpoints if one["is_best"])
        files = {"files": (held_out["path"], picture.content)}
        asked = self._checked(self._api.post(f"/checkpoints/{checkpoint_id}/predictions", files=files)).json()
        answer = (asked["items"] if isinstance(asked, dict) else asked)[0]
        self._console.print(
            f"[bold]{held_out['path']}[/bold], a {held_out['label']}: the classifier says "
            f"[bold]{answer['predicted']}[/bold], {answer['confidence']:.1%} sure."
        )

    @contextmanager
    def _progress(self, title: str) -> Iterator["_Bar"]:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"))
        with Progress(*columns, TimeElapsedColumn(), console=self._console) as progress:
            bar = _Bar(progress, title)
            yield bar
            bar.finish()

    def _get(self, path: str) -> Json:
        answer: Json = self._checked(self._api.get(path)).json()
        return answer

    def _post(self, path: str, body: Mapping[str, Any]) -> Json:
        answer: Json = self._checked(self._api.post(path, json=body)).json()
        return answer

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if not answer.is_success:
            raise DemoFailed(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:400]}")
        return answer


class _Bar:
    """A share of 1 and a few words beside it."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=1.0, words="")

    def __call__(self, share: float, words: str) -> None:
        self._progress.update(self._task, completed=share, words=words)

    def finish(self) -> None:
        self._progress.update(self._task, completed=1.0)


def _words(run: Json) -> str:
    if run["status"] == "queued":
        return "waiting for its turn"
    if run["epoch"] is None:
        return "getting ready"
    left = "" if run["eta_s"] is None else f", {run['eta_s']:.0f} s left"
    return f"epoch {run['epoch'] + 1} of {run['epochs']}{left}"


def _reason(job: Json) -> str:
    failure = job.get("failure") or {}
    return " ".join(failure[name] for name in ("message", "advice") if failure.get(name))


def _below_api(url: str) -> str:
    return url.partition("/api/v1")[2]


@contextmanager
def _ctrl_c_and_sigterm_unwind() -> Iterator[None]:
    def unwind(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    former = {number: signal.signal(number, unwind) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="tellapart-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def _private_server(folder: Path) -> Iterator[httpx.Client]:
    """A server of our own on a free port; a client that may call it."""
    port, token = _free_port(), secrets.token_urlsafe(32)
    with _log_file(folder).open("ab") as log:
        # In its own folder, so that no `.env` of another server is read.
        command = (sys.executable, "-m", "backend.cli", "serve")
        child = Child(
            "The private server", command, _environment(folder, port, token), output=log.fileno(), folder=folder
        )
        child.start()
        try:
            headers = {"Authorization": f"Bearer {token}"}
            base = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=f"{base}/api/v1", headers=headers, timeout=60, trust_env=False) as api:
                _wait_until_ready(child, api, f"{base}/readyz", folder)
                yield api
        finally:
            end_all([child], grace_s=15.0, hurry=lambda: False)


def _environment(folder: Path, port: int, token: str) -> dict[str, str]:
    outside = {"DATABASE_URL", "REDIS_URL", "STORAGE_URL", "TELLAPART_BASE_URL"}
    ours = {
        "TELLAPART_DATA": str(folder),
        "TELLAPART_HOST": "127.0.0.1",
        "TELLAPART_PORT": str(port),
        "TELLAPART_TOKEN": token,
    }
    if weights := os.environ.get("TELLAPART_WEIGHTS"):
        ours["TELLAPART_WEIGHTS"] = str(Path(weights).absolute())
    return {name: value for name, value in os.environ.items() if name not in outside} | ours


def _wait_until_ready(child: Child, api: httpx.Client, address: str, folder: Path) -> None:
    deadline = time.monotonic() + START_PATIENCE_S
    while child.is_running and time.monotonic() < deadline:
        try:
            if api.get(address, timeout=2).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise DemoFailed(f"The private server did not start. It said: {_tail(folder)}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _log_file(folder: Path) -> Path:
    return folder / "demo.log"


def _tail(folder: Path) -> str:
    return _log_file(folder).read_text(errors="replace")[-1500:].strip()
