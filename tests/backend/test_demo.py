"""The journey in the shell: it ends well with everything on the screen, and leaves nothing behind."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fixtures.processes import descendants, environment_without_ours, is_alive, wait_until

DEMO = (sys.executable, "-m", "backend.cli", "demo")


@pytest.mark.weights
def test_it_goes_from_pictures_to_a_prediction(tmp_path: Path, tested_sqlite: Path) -> None:
    (tmp_path / "kept").mkdir()
    shutil.copy(tested_sqlite, tmp_path / "kept" / "tellapart.sqlite3")
    ended = subprocess.run(
        [*DEMO, "--epochs", "1", "--data", str(tmp_path / "kept")],
        env=environment_without_ours() | {"COLUMNS": "120"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "1,797 pictures" in ended.stdout
    for column in ("epoch", "train_loss", "valid_loss", "error_rate", "time"):
        assert column in ended.stdout
    assert "Most confused" in ended.stdout
    assert "the classifier says" in ended.stdout
    assert (tmp_path / "kept" / "tellapart.sqlite3").is_file()


@pytest.mark.kill
@pytest.mark.skipif(sys.platform != "linux", reason="the test looks processes up as Linux tells them")
def test_ctrl_c_ends_all_that_it_started(tmp_path: Path) -> None:
    environment = environment_without_ours() | {"TMPDIR": str(tmp_path)}
    demo = subprocess.Popen(DEMO, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(descendants(demo.pid)) >= 3, "server, web server and worker run", seconds=60)
    time.sleep(1)
    started = descendants(demo.pid)

    demo.send_signal(signal.SIGINT)
    demo.wait(30)

    assert demo.returncode == 130
    wait_until(lambda: not any(map(is_alive, started)), "all that it started has ended", seconds=5)
    assert list(tmp_path.glob("tellapart-demo-*")) == []
