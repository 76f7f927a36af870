"""Processes that are watched: they come back, end together, and never outlive who started them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from backend.children import Child, describe_exit, end_all
from tests.fixtures.processes import is_alive, wait_until

SLEEPING = (sys.executable, "-c", "import time; time.sleep(600)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)",
)


def _never() -> bool:
    return False


def test_one_that_dies_is_started_again_and_it_is_said() -> None:
    said: list[str] = []
    child = Child("The sleeper", SLEEPING, os.environ)
    child.start()
    first = child.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not child.is_running, "the first one is dead")
    child.look_after(said.append)

    assert child.is_running
    assert child.pid != first
    assert said[0].startswith("The sleeper stopped (killed by signal 9")
    end_all([child], grace_s=5, hurry=_never)


def test_one_that_dies_at_once_is_started_ever_more_slowly() -> None:
    said: list[str] = []
    child = Child("The failing one", (sys.executable, "-c", "raise SystemExit(3)"), os.environ)
    child.start()

    for deaths in (1, 2):
        wait_until(lambda: not child.is_running, "it is dead")
        while len(said) < deaths:
            child.look_after(said.append)
        while not child.is_running and len(said) == 1:
            child.look_after(said.append)

    assert said == [
        "The failing one stopped (exit code 3). It starts again now.",
        "The failing one stopped (exit code 3). It starts again in 1 s.",
    ]
    end_all([child], grace_s=5, hurry=_never)


def test_one_that_will_not_end_is_killed_after_its_grace() -> None:
    child = Child("The stubborn one", STUBBORN, os.environ)
    child.start()
    time.sleep(0.5)

    end_all([child], grace_s=0.3, hurry=_never)

    assert not child.is_running


def test_hurry_cuts_the_grace_short() -> None:
    child = Child("The stubborn one", STUBBORN, os.environ)
    child.start()
    time.sleep(0.5)
    began_at = time.monotonic()

    end_all([child], grace_s=60, hurry=lambda: True)

    assert not child.is_running
    assert time.monotonic() - began_at < 5


def test_one_that_shows_its_user_must_act_is_known() -> None:
    child = Child("The refusing one", (sys.executable, "-c", "raise SystemExit(2)"), os.environ)
    child.start()
    wait_until(lambda: not child.is_running, "it has refused")

    assert child.was_refused


@pytest.mark.kill
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_none_outlives_a_parent_that_is_killed() -> None:
    script = f"""
import os, sys, time
from backend.children import Child
child = Child("The sleeper", {SLEEPING!r}, os.environ)
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())

        parent.kill()

    wait_until(lambda: not is_alive(child), "the child has ended", seconds=5)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exit code 0"),
        (-15, "killed by signal 15"),
        (-9, "killed by signal 9, most likely because memory ran out"),
        (None, "it never ran"),
    ],
)
def test_an_ending_is_asked_in_words(code: int | None, words: str) -> None:
    assert describe_exit(code) == words
