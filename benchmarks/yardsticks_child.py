"""Runs cleanvision and imagededup on a folder and prints what they say as JSON. Needs both, and nothing of ours."""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CLEANVISION = {
    "dark": "is_dark_issue",
    "light": "is_light_issue",
    "blurred": "is_blurry_issue",
    "blank": "is_low_information_issue",
}


def cleanvision(folder: Path) -> dict[str, Any]:  # Any: JSON values
    """Its default checks."""
    from cleanvision import Imagelab

    lab = Imagelab(data_path=str(folder))
    lab.find_issues(n_jobs=1, verbose=False)
    sets = [group for kind in ("exact_duplicates", "near_duplicates") for group in lab.info[kind]["sets"]]
    issues = lab.issues
    reported = {
        kind: [_path(folder, name) for name in issues.index[issues[column]]] for kind, column in _CLEANVISION.items()
    }
    return {"groups": [[_path(folder, name) for name in group] for group in sets], "reported": reported}


def _path(folder: Path, name: str) -> str:
    return Path(name).resolve().relative_to(folder.resolve()).as_posix()


def imagededup(method: str) -> Callable[[Path], dict[str, Any]]:  # Any: JSON values
    """One of its methods with its default threshold."""

    def run(folder: Path) -> dict[str, Any]:
        import imagededup.methods

        hasher = getattr(imagededup.methods, method)()
        found = hasher.find_duplicates(image_dir=str(folder), recursive=True)
        return {"groups": [[name, other] for name, others in found.items() for other in others]}

    return run


TOOLS = {"cleanvision": cleanvision, "imagededup PHash": imagededup("PHash"), "imagededup CNN": imagededup("CNN")}


def main() -> None:
    """One line of JSON; a tool that can't be run is left out and named on the other channel."""
    folder, answers = Path(sys.argv[1]), {}
    for name, tool in TOOLS.items():
        begun = time.perf_counter()
        try:
            with contextlib.redirect_stdout(sys.stderr):
                answers[name] = tool(folder) | {"seconds": time.perf_counter() - begun}
        except Exception as error:  # whatever it is, the other tools are still measured
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
