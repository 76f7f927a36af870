"""cleanvision and imagededup on the same files, in an interpreter of their own."""

import json
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.planted_scores import Answer
from benchmarks.planting import Planted
from benchmarks.processes import CantMeasure


def yardsticks(python: Path, planted: Planted, folder: Path) -> dict[str, Answer]:
    """What the other tools say, by name. Files that end too early aren't given to them: cleanvision stops at these.

    Raises:
        CantMeasure: they can't be run.
    """
    cut = set(planted.faults.get("cut file", ()))
    for path, content in planted.files.items():
        if path in cut:
            continue
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    script = Path(__file__).with_name("yardsticks_child.py")
    done = subprocess.run([python, script, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CantMeasure(f"cleanvision and imagededup can't be run by {python}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # Any: JSON values
    return {
        tool: Answer(groups=said["groups"], reported=said.get("reported", {}), seconds={"all": said["seconds"]})
        for tool, said in found.items()
    }
