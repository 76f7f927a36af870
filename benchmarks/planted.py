"""What the health check finds of faults that were planted, beside cleanvision and imagededup on the same files.

``python -m benchmarks.planted SOURCE ... --json OUT`` measures; ``--draw`` puts the tables into ``docs/findings.md``.
Every set goes through the real import, the features of the embedded network, the comparison and the health check. Of
each kind of fault it says how many of those planted were found (recall), and of all pairs that it calls copies how many
are (precision).
"""

import sys


def main() -> int:
    """Measure, or draw what was measured; returns the exit code."""
    # Decoding processes import this module anew: PyTorch would keep them from starting for seconds.
    from benchmarks.planted_run import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
