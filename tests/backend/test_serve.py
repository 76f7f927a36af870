"""`tellapart serve` as one: it starts, prints its address, restarts what died, and leaves no process behind."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from backend import serve
from tests.fixtures.processes import descendants, is_alive, wait_until
from tests.fixtures.serve_process import ServeProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tests look processes up as Linux tells them")


StartServe = Callable[..., ServeProcess]


@pytest.fixture
def start_serve(tmp_path: Path) -> Iterator[StartServe]:
    """Start as many as a test wants; all end with it."""
    started: list[ServeProcess] = []

    def start(*options: str, folder: Path = tmp_path, port: int | None = None) -> ServeProcess:
        started.append(ServeProcess(folder, *options, port=port))
        return started[-1]

    yield start
    for served in started:
        served.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, tested_sqlite: Path) -> Iterator[ServeProcess]:
    """One for all tests after which it is as good as before."""
    served = ServeProcess(tmp_path_factory.mktemp("shared"), database=tested_sqlite)
    served.wait_until_ready()
    yield served
    served.end()


@pytest.mark.kill
def test_it_shows_where_it_is_once_it_answers(shared: ServeProcess) -> None:
    served = shared

    with served.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        assert client.get("/api/v1/datasets").status_code == 200
    assert served.link is not None
    assert served.link.startswith(f"http://127.0.0.1:{served.port}/sign-in?token=")


@pytest.mark.kill
def test_its_link_signs_in_once(start_serve: StartServe) -> None:
    served = start_serve("--no-worker")
    served.wait_until_ready()
    assert served.link is not None

    with httpx.Client(trust_env=False, follow_redirects=True) as browser:
        browser.get(served.link)
        answer = browser.get(f"http://127.0.0.1:{served.port}/api/v1/datasets")

    assert answer.status_code == 200
    assert httpx.get(served.link, trust_env=False).status_code == 401


@pytest.mark.kill
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_everything_within_seconds(start_serve: StartServe, number: signal.Signals) -> None:
    served = start_serve()
    served.wait_until_ready()
    started = descendants(served.process.pid)

    served.process.send_signal(number)
    served.process.wait(15)

    assert len(started) >= 3
    assert served.process.returncode == 0
    wait_until(lambda: not any(map(is_alive, started)), "all that it started has ended", seconds=5)


@pytest.mark.kill
def test_nothing_outlives_it_when_it_is_killed(start_serve: StartServe) -> None:
    served = start_serve()
    served.wait_until_ready()
    started = descendants(served.process.pid)

    served.process.kill()

    wait_until(lambda: not any(map(is_alive, started)), "all that it started has ended", seconds=10)


@pytest.mark.kill
@pytest.mark.parametrize(
    ("part", "title"),
    [("backend.serve", "The web server"), ("-m worker", "The worker"), ("valkey", "The message broker")],
)
def test_what_is_killed_comes_back(shared: ServeProcess, part: str, title: str) -> None:
    served = shared
    first = served.pid_of(part)

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: served.said(title, "stopped (killed by signal 9"), "it is reported")
    wait_until(lambda: served.pid_of(part) != first, f"{title} is there again")
    # A process is there a moment before it answers.
    with served.client() as client:
        wait_until(lambda: client.get("/readyz").status_code == 200, "everything answers again")


@pytest.mark.kill
def test_a_job_continues_while_the_web_server_is_killed_and_comes_back(shared: ServeProcess) -> None:
    served = shared
    with served.client() as client:
        dataset = client.post("/api/v1/datasets", json={"name": "Digits"}).json()
        ordered = client.post(f"/api/v1/datasets/{dataset['id']}/from-urls", json={"sample": "digits"}).json()

        os.kill(served.pid_of("backend.serve"), signal.SIGKILL)

    def status() -> str:
        # The port stays open: whoever calls in between waits for the successor.
        with served.client() as client:
            found: str = client.get(f"/api/v1/imports/{ordered['id']}").json()["status"]
        return found

    wait_until(lambda: status() == "succeeded", "the import is done", seconds=120)
    with served.client() as client:
        assert client.get(f"/api/v1/datasets/{dataset['id']}").json()["images"] >= 1700


@pytest.mark.kill
def test_a_second_start_keeps_the_data_and_the_key(start_serve: StartServe, tmp_path: Path) -> None:
    first = start_serve()
    first.wait_until_ready()
    with first.client() as client:
        client.post("/api/v1/datasets", json={"name": "Pets"})
    first.end()

    second = start_serve(port=first.port)
    second.wait_until_ready()

    with second.client() as client:
        names = [dataset["name"] for dataset in client.get("/api/v1/datasets").json()["items"]]
    assert names == ["Pets"]
    assert second.said((tmp_path / "data" / "token").read_text().strip())


@pytest.mark.kill
def test_a_taken_port_is_a_sentence(start_serve: StartServe, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        served = start_serve("--no-worker", port=other.getsockname()[1])
        served.process.wait(30)

    assert served.process.returncode == 2
    wait_until(lambda: served.said("TELLAPART_PORT="), "it says what to do")


@pytest.mark.kill
def test_two_servers_never_share_a_data_folder(shared: ServeProcess, start_serve: StartServe) -> None:
    second = start_serve("--no-worker", folder=shared.folder)
    second.process.wait(30)

    assert second.process.returncode == 2
    wait_until(lambda: second.said("Another Tellapart is running on the data folder"), "it says why")


@pytest.mark.kill
def test_an_open_stream_does_not_hold_up_the_end(start_serve: StartServe) -> None:
    served = start_serve("--no-worker")
    served.wait_until_ready()
    with socket.create_connection(("127.0.0.1", served.port)) as half_a_request:
        half_a_request.sendall(b"GET /healthz HTTP/1.1\r\n")
        time.sleep(0.3)

        served.process.send_signal(signal.SIGINT)
        served.process.wait(15)

    assert served.process.returncode == 0


MOUNTS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw
40 22 0:35 / /mnt/share rw,relatime shared:2 - nfs4 server:/share rw
41 22 0:36 / /mnt/with\\040space rw,relatime - cifs //server/share rw
42 40 0:37 / /mnt/share/local rw - xfs /dev/sdb1 rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/data", "ext4"),
        ("/mnt/share/tellapart", "nfs4"),
        ("/mnt/with space/data", "cifs"),
        ("/mnt/share/local/data", "xfs"),
        ("/mnt/sharelike", "ext4"),
    ],
)
def test_it_knows_on_which_file_system_a_folder_lies(tmp_path: Path, folder: str, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)

    assert serve.file_system_of(Path(folder), mounts) == kind


def test_a_file_system_of_unknown_kind_counts_as_local(tmp_path: Path) -> None:
    assert serve.file_system_of(tmp_path, tmp_path / "missing") == ""


def test_collections_of_garbage_do_not_look_at_what_start_up_made(tmp_path: Path, sqlite_url: str) -> None:
    script = """
import gc, socket, uvicorn
from backend import serve
uvicorn.Server.run = lambda self, sockets: print("made:", len(gc.get_objects()), "frozen:", gc.get_freeze_count())
serve.run_web(socket.socket().detach())
"""
    settings = {"TELLAPART_DATA": str(tmp_path), "DATABASE_URL": sqlite_url}

    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    made, frozen = (int(number) for number in re.findall(r"(?:made|frozen): (\d+)", done.stdout))
    assert made < 1_000 < 100_000 < frozen


def test_a_lock_left_by_a_dead_server_is_no_obstacle(tmp_path: Path) -> None:
    with (tmp_path / "serve.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

    with serve._only_server_on(tmp_path):
        pass
