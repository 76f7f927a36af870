"""Makes a process end with its parent, whatever ends that: a killed worker leaves no process running.

``python -m worker.parent_death PARENT COMMAND ...`` does so for a command of any kind, which it becomes.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
ORPHANED: Final = 14
"""Exit code of a process whose parent was gone before it could do anything."""


def end_with_parent(parent: int) -> None:
    """Be killed when the process ``parent`` ends; end now if it has ended already.

    Linux only; elsewhere the fence in the ledger still keeps an orphan from writing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # It may have ended before the call.
    if os.getppid() != parent:
        sys.exit(ORPHANED)


def main(arguments: Sequence[str]) -> None:
    """Bind this process to the parent whose number comes first, and become the command that follows.

    Raises:
        OSError: the command can't be started.
    """
    parent, *command = arguments
    end_with_parent(int(parent))
    os.execvp(command[0], command)  # the binding outlives the change of program


if __name__ == "__main__":
    main(sys.argv[1:])
