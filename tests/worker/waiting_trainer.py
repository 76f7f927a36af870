"""A trainer that waits for its order, says it, and ends with 7."""

import os
import sys

from worker.parent_death import end_with_parent
from worker.standby import WAIT, wait_for_order

if __name__ == "__main__":
    assert sys.argv[1] == WAIT
    end_with_parent(int(sys.argv[2]))
    arguments = wait_for_order(sys.stdin)
    if arguments is None:
        sys.exit(0)
    print(*arguments, "on", os.environ.get("TELLAPART_DEVICE", "any"))  # noqa: T201
    sys.exit(7)
