"""The whole house as one: it starts, says where it is, heals, and leaves nothing behind."""

import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from backend import serve
from tests.fixtures.house import House
from tests.fixtures.processes import descendants, is_alive, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tests look processes up as Linux tells them")


StartHouse = Callable[..., House]


@pytest.fixture
def start_house(tmp_path: Path) -> Iterator[StartHouse]:
    """Start as many as a test wants; all end with it."""
    houses: list[House] = []

    def start(*options: str, folder: Path = tmp_path, port: int | None = None) -> House:
        houses.append(House(folder, *options, port=port))
        return houses[-1]

    yield start
    for house in houses:
        house.end()


@pytest.mark.kill
def test_it_shows_where_it_is_once_it_answers(start_house: StartHouse) -> None:
    house = start_house()

    house.wait_until_ready()

    with house.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        assert client.get("/api/v1/datasets").status_code == 200
    assert house.link is not None
    assert house.link.startswith(f"http://127.0.0.1:{house.port}/sign-in?token=")


@pytest.mark.kill
def test_its_link_opens_the_door_once(start_house: StartHouse) -> None:
    house = start_house("--no-worker")
    house.wait_until_ready()
    assert house.link is not None

    with httpx.Client(trust_env=False, follow_redirects=True) as browser:
        browser.get(house.link)
        answer = browser.get(f"http://127.0.0.1:{house.port}/api/v1/datasets")

    assert answer.status_code == 200
    assert httpx.get(house.link, trust_env=False).status_code == 401


@pytest.mark.kill
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_everything_within_seconds(start_house: StartHouse, number: signal.Signals) -> None:
    house = start_house()
    house.wait_until_ready()
    started = descendants(house.process.pid)

    house.process.send_signal(number)
    house.process.wait(15)

    assert len(started) >= 3
    assert house.process.returncode == 0
    wait_until(lambda: not any(map(is_alive, started)), "all that it started has ended", seconds=5)


@pytest.mark.kill
def test_nothing_outlives_it_when_it_is_killed(start_house: StartHouse) -> None:
    house = start_house()
    house.wait_until_ready()
    started = descendants(house.process.pid)

    house.process.kill()

    wait_until(lambda: not any(map(is_alive, started)), "all that it started has ended", seconds=10)


@pytest.mark.kill
@pytest.mark.parametrize(
    ("part", "title"),
    [("backend.serve", "The web server"), ("-m worker", "The worker"), ("valkey", "The message broker")],
)
def test_what_is_killed_comes_back(start_house: StartHouse, part: str, title: str) -> None:
    house = start_house()
    house.wait_until_ready()
    first = house.pid_of(part)

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: house.said(f"{title}") and house.said("stopped (killed by signal 9"), "it is said")
    wait_until(lambda: house.pid_of(part) != first, f"{title} is there again")
    # A process is there a moment before it answers.
    with house.client() as client:
        wait_until(lambda: client.get("/readyz").status_code == 200, "everything answers again")


@pytest.mark.kill
def test_a_job_continues_while_the_web_server_is_killed_and_comes_back(start_house: StartHouse) -> None:
    house = start_house()
    house.wait_until_ready()
    with house.client() as client:
        dataset = client.post("/api/v1/datasets", json={"name": "Digits"}).json()
        ordered = client.post(f"/api/v1/datasets/{dataset['id']}/from-urls", json={"sample": "digits"}).json()

        os.kill(house.pid_of("backend.serve"), signal.SIGKILL)

    def status() -> str:
        # The port stays open: whoever calls in between waits for the successor.
        with house.client() as client:
            found: str = client.get(f"/api/v1/imports/{ordered['id']}").json()["status"]
        return found

    wait_until(lambda: status() == "succeeded", "the import is done", seconds=120)
    with house.client() as client:
        assert client.get(f"/api/v1/datasets/{dataset['id']}").json()["images"] >= 1700


@pytest.mark.kill
def test_a_second_start_keeps_the_data_and_the_key(start_house: StartHouse, tmp_path: Path) -> None:
    first = start_house()
    first.wait_until_ready()
    with first.client() as client:
        client.post("/api/v1/datasets", json={"name": "Pets"})
    first.end()

    second = start_house(port=first.port)
    second.wait_until_ready()

    with second.client() as client:
        names = [dataset["name"] for dataset in client.get("/api/v1/datasets").json()["items"]]
    assert names == ["Pets"]
    assert second.said((tmp_path / "data" / "token").read_text().strip())


@pytest.mark.kill
def test_a_taken_port_is_a_sentence(start_house: StartHouse, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        house = start_house("--no-worker", port=other.getsockname()[1])
        house.process.wait(30)

    assert house.process.returncode == 2
    wait_until(lambda: house.said("TELLAPART_PORT="), "it says what to do")


@pytest.mark.kill
def test_two_servers_never_share_a_data_folder(start_house: StartHouse) -> None:
    first = start_house("--no-worker")
    first.wait_until_ready()

    second = start_house("--no-worker")
    second.process.wait(30)

    assert second.process.returncode == 2
    wait_until(lambda: second.said("Another Tellapart is running on the data folder"), "it says why")


@pytest.mark.kill
def test_an_open_stream_does_not_hold_up_the_end(start_house: StartHouse) -> None:
    house = start_house("--no-worker")
    house.wait_until_ready()
    with socket.create_connection(("127.0.0.1", house.port)) as half_a_request:
        half_a_request.sendall(b"GET /healthz HTTP/1.1\r\n")
        time.sleep(0.3)

        house.process.send_signal(signal.SIGINT)
        house.process.wait(15)

    assert house.process.returncode == 0


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


def test_a_system_that_does_not_say_is_believed_to_be_local(tmp_path: Path) -> None:
    assert serve.file_system_of(tmp_path, tmp_path / "missing") == ""


def test_a_lock_left_by_a_dead_server_is_no_obstacle(tmp_path: Path) -> None:
    with (tmp_path / "serve.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

    with serve._only_server_on(tmp_path):
        pass
