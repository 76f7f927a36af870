"""Runs cleanlab on labels and out-of-fold probabilities: ``python cleanlab_child.py FOLDER``. Needs nothing of ours.

Each ``*.npz`` of the folder has ``targets`` (N,) and ``probabilities`` (N, K); an answer of the same name with the
ending ``.answer.npz`` is put beside it: scores, low for labels that are probably wrong, and which ones cleanlab lists.
"""

import sys
import time
from pathlib import Path

import numpy as np


def main() -> None:
    """Answer every file; prints nothing."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    for file in sorted(Path(sys.argv[1]).glob("*.npz")):
        draw = np.load(file)
        targets, probabilities = draw["targets"], draw["probabilities"]
        answer = {}
        for method in ("self_confidence", "normalized_margin"):
            answer[method] = get_label_quality_scores(targets, probabilities, method=method)
        begun = time.perf_counter()
        answer["listed"] = find_label_issues(targets, probabilities, n_jobs=1)
        answer["seconds"] = np.array(time.perf_counter() - begun)
        np.savez(file.with_name(f"{file.stem}.answer.npz"), **answer)


if __name__ == "__main__":
    main()
