"""The real trainer with the tiny network: starting and training take seconds, and several processes share them.

What ``SECONDS_A_STEP`` says is waited for in each step, so that something can be done to it meanwhile.
"""

import os
import sys
import time
from pathlib import Path

from tests.fixtures.engine import tiny_registered
from worker.engine.loop import train as loop

# Not within a function: processes that are started by this one import it, and know the network as well.
# One of its own, just to get the entry: the weights are those of the test.
_WEIGHTS = Path(os.environ["TELLAPART_DATA"]) / f"tiny-{os.getpid()}"
_registered = tiny_registered(_WEIGHTS)
_registered.__enter__()
_real = loop.seed_of


def _slow_seed(*parts: int) -> int:
    time.sleep(float(os.environ.get("SECONDS_A_STEP", "0")))
    return _real(*parts)


loop.seed_of = _slow_seed

if __name__ == "__main__":
    from worker.trainer import main

    sys.exit(main(sys.argv[1:]))
