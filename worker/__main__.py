"""``python -m worker``: a worker on this machine, until Ctrl-C or SIGTERM."""

import os
import sys
from collections.abc import Sequence

from backend import log
from backend.ledger.timers import Timers
from backend.settings import SettingsError, load
from worker.here import new_post
from worker.host import Host
from worker.post import open_parts

_USER_MUST_CHANGE_SOMETHING = 2


def main(arguments: Sequence[str]) -> int:
    """Run the worker; the exit code. ``--timers JSON`` is for tests, which can't wait a minute for a lease."""
    log.configure()
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return _USER_MUST_CHANGE_SOMETHING
    timers = Timers.from_json(arguments[1]) if arguments[:1] == ["--timers"] else None
    return Host(open_parts(new_post(settings, timers), settings), os.environ).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
