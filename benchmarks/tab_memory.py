"""What a browser's tab takes while a folder is dropped and sent: ``python -m benchmarks.tab_memory --files 20000``.

Draws a folder of small JPEG files, starts ``tellapart serve`` with nothing in its data folder, opens the page of a new
dataset, and drops the folder. Memory is what the tab's process alone has (not what it shares with others), looked at
every 250 ms; the peer is the same tab before the drop. How long the tab may not answer is the longest time between two
of its own timers of 20 ms, less these.
"""

import argparse
import io
import random
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import measuring
from tests.e2e.conftest import drop, installed_chromium
from tests.fixtures.serve_process import ServeProcess

AIM_MB: Final = 150
AIM_MS: Final = 200
_SIDE: Final = 48
_FOLDERS: Final = 20
_LOOK_S: Final = 0.25
_LONGEST_S: Final = 3600.0
_TICKS: Final = """() => {
  let last = performance.now();
  globalThis.longest = 0;
  setInterval(() => {
    const now = performance.now();
    globalThis.longest = Math.max(globalThis.longest, now - last - 20);
    last = now;
  }, 20);
}"""


@dataclass(frozen=True, slots=True)
class Taken:
    """One drop.

    Attributes:
        before_mb: memory of the tab's process before it, in MB of a million bytes.
        peak_mb: the most while files were read and sent.
        blocked_ms: the longest time that the page didn't answer.
        seconds: from the drop until everything was sent, or until the folder was read where sending was paused.
    """

    files: int
    before_mb: float
    peak_mb: float
    blocked_ms: float
    seconds: float


def _draw(folder: Path, files: int) -> None:
    """So many different pictures of about a kilobyte, in a few folders."""
    random.seed(1)
    for number in range(files):
        image = Image.frombytes("RGB", (_SIDE // 4, _SIDE // 4), random.randbytes(3 * (_SIDE // 4) ** 2))
        content = io.BytesIO()
        image.resize((_SIDE, _SIDE)).save(content, "JPEG")
        file = folder / f"class {number % _FOLDERS}" / f"picture {number:06}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.getvalue())


def _memory(pid: int) -> float:
    """What a process has alone, in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024 / 1e6


def _renderer(browser: Browser) -> int:
    """The process of the only tab: the one that has most, as browsers keep a spare one ready."""
    session = browser.new_browser_cdp_session()
    found: list[dict[str, Any]] = session.send("SystemInfo.getProcessInfo")["processInfo"]  # Any: the protocol's JSON
    session.detach()
    return max((int(one["id"]) for one in found if one["type"] == "renderer"), key=_memory)


def _is_over(page: Page, *, is_paused: bool) -> bool:
    panel = page.locator("[data-progress]")
    if is_paused:
        return "found so far" not in panel.locator("[data-count]").inner_text()
    return panel.is_hidden()


def _take(browser: Browser, server: ServeProcess, folder: Path, files: int, *, is_paused: bool) -> Taken:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(server.new_link())
    with server.client() as client:
        dataset = (
            client.post("/api/v1/datasets", json={"name": f"drop {time.monotonic_ns()}"}).raise_for_status().json()
        )
    page.goto(f"http://127.0.0.1:{server.port}/datasets/{dataset['id']}")
    page.wait_for_load_state()
    page.evaluate(_TICKS)
    time.sleep(2)
    pid = _renderer(browser)
    before = peak = _memory(pid)
    begun = time.monotonic()
    drop(page, folder)
    panel = page.locator("[data-progress]")
    panel.wait_for(state="visible", timeout=60_000)
    if is_paused:
        panel.locator("[data-pause]").click()
    while not _is_over(page, is_paused=is_paused):
        if time.monotonic() - begun > _LONGEST_S:
            raise TimeoutError("It took more than an hour.")
        peak = max(peak, _memory(pid))
        time.sleep(_LOOK_S)
    seconds = time.monotonic() - begun
    time.sleep(1)
    peak = max(peak, _memory(pid))
    blocked = float(page.evaluate("globalThis.longest"))
    page.on("dialog", lambda dialog: dialog.accept())
    page.close(run_before_unload=False)
    return Taken(files, before, peak, blocked, seconds)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[20_000])
    parser.add_argument("--paused", action="store_true", help="pause sending at once: all files wait in the tab")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    chosen = parser.parse_args()
    before = measuring.load_average()
    taken: list[Taken] = []
    with TemporaryDirectory(prefix="tab-memory-") as work, sync_playwright() as playwright:
        server = ServeProcess(Path(work) / "server")
        try:
            server.wait_until_ready()
            for files in chosen.files:
                folder = Path(work) / f"{files} pictures"
                _draw(folder, files)
                for _ in range(chosen.rounds):
                    # A browser of its own: another tab may have the process of the one before.
                    browser = playwright.chromium.launch(
                        executable_path=installed_chromium(), args=["--no-sandbox"], timeout=60_000
                    )
                    taken.append(_take(browser, server, folder, files, is_paused=chosen.paused))
                    browser.close()
        finally:
            server.end()
    print("| files | tab before | most | of these files | longest without an answer | seconds |")
    print("|---|---|---|---|---|---|")
    for files in chosen.files:
        own = [one for one in taken if one.files == files]
        first, most, blocked, seconds = (
            statistics.median(getattr(one, name) for one in own)
            for name in ("before_mb", "peak_mb", "blocked_ms", "seconds")
        )
        print(
            f"| {files:,} | {first:.0f} MB | {most:.0f} MB | {most - first:.0f} MB | {blocked:.0f} ms | {seconds:.0f} |"
        )
    load = f"load average {before:.1f} before, {measuring.load_average():.1f} after"
    print(f"Medians of {chosen.rounds}; {load}; aims {AIM_MB} MB and {AIM_MS} ms.")
    if chosen.json:
        measuring.write(chosen.json, [asdict(one) for one in taken])


if __name__ == "__main__":
    main()
