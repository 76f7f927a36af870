"""Who holds a GPU's memory, by what its driver's program prints."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import torch

from worker.engine.errors import MemoryHolder
from worker.engine.hardware import gpu_processes
from worker.engine.hardware.gpu_processes import holders_in, holders_of

ANSWER = """4242, 310, /usr/bin/python3
77, 6120, /opt/conda, with a comma/bin/ollama
991, 812, [Not Found]
1500, [N/A], /usr/bin/blender
"""


def test_the_largest_comes_first_and_we_are_not_among_them() -> None:
    assert holders_in(ANSWER, but_not=4242) == (
        MemoryHolder(77, 6120, "ollama"),
        MemoryHolder(991, 812, "[Not Found]"),
    )


def test_at_most_three_are_named() -> None:
    answer = "".join(f"{pid}, {pid * 10}, python\n" for pid in range(1, 8))

    assert [holder.pid for holder in holders_in(answer, but_not=0)] == [7, 6, 5]


@pytest.mark.parametrize("answer", ["", "\n", "No running processes found\n"])
def test_where_there_are_none_nobody_is_named(answer: str) -> None:
    assert holders_in(answer, but_not=1) == ()


def test_a_program_is_said_in_words() -> None:
    assert str(MemoryHolder(77, 6120, "ollama")) == "ollama (process 77) holds 6,120 MiB"


def test_the_driver_is_asked_about_this_card_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], **options: Any) -> subprocess.CompletedProcess[str]:  # Any: as the real one
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, ANSWER)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(gpu_processes, "_id_of", lambda device: "GPU-5a6d")

    assert [holder.pid for holder in holders_of(torch.device("cuda:1"))] == [77, 991, 4242]
    assert [command[-1] for command in asked] == ["--id=GPU-5a6d"]


def fails(error: Exception) -> Callable[..., Any]:  # Any: never returns
    def fail(*_given: object, **_options: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    "error", [FileNotFoundError("nvidia-smi"), subprocess.TimeoutExpired("nvidia-smi", 10.0), RuntimeError("no driver")]
)
def test_where_nobody_can_tell_nobody_is_named(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(gpu_processes, "_id_of", lambda device: "GPU-5a6d")
    monkeypatch.setattr(subprocess, "run", fails(error))

    assert holders_of(torch.device("cuda:0")) == ()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_driver_answers() -> None:
    assert all(holder.mebibytes >= 0 for holder in holders_of(torch.device("cuda:0")))
