"""Measured processes: how they are started, which interpreter has fastai, and what machine they run on."""

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any, Final

from benchmarks import measuring
from worker.processors import THREAD_SETTINGS

ROOT: Final = Path(__file__).resolve().parents[1]


class CantMeasure(Exception):
    """Something is missing; the message explains what to do."""


def answer_of(command: list[str], folder: Path, *, with_folder: bool = True) -> Any:  # Any: JSON values
    """Run a module that writes its result into a file, and return that result."""
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / "result.json"
    whole = [*command, str(folder), str(result)] if with_folder else [*command, str(result)]
    done = subprocess.run(whole, cwd=ROOT, env=_offline(folder), capture_output=True, text=True, check=False)
    if done.returncode:
        raise CantMeasure(f"{' '.join(whole)} failed:\n{done.stderr[-4000:]}")
    return measuring.read(result)


def _offline(folder: Path) -> dict[str, str]:
    """The environment, set so that no library uses the internet or writes outside the work folder."""
    said = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    homes = {name: str(folder / "home") for name in ("HF_HOME", "TORCH_HOME", "FASTAI_HOME", "MPLCONFIGDIR")}
    # As a worker sets it for its trainings.
    return {**THREAD_SETTINGS, **os.environ, **said, **homes}


_ASK: Final = """
import json, fastai.vision.all, safetensors, timm
from benchmarks.measuring import versions
print(json.dumps(versions()))
"""


def require_fastai(python: str) -> dict[str, str]:
    """Versions of what that interpreter has.

    Raises:
        CantMeasure: it has no fastai, or another torch than ours.
    """
    try:
        done = subprocess.run([python, "-c", _ASK], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CantMeasure(f"{python} can't be started ({error}).") from error
    torch = measuring.versions()["torch"]
    if done.returncode:
        raise CantMeasure(
            f"{python} has no fastai. Make a virtual environment beside this one, install fastai, timm, safetensors "
            f"and torch=={torch} into it, and give its interpreter as --fastai-python; --ours-only does without."
        )
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    if found["torch"] != torch:
        raise CantMeasure(f"{python} has torch {found['torch']}; both sides must run on the same, {torch}.")
    return found


def machine() -> dict[str, Any]:  # Any: JSON values
    """What the figures were measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "load_before": measuring.load_average(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
