"""``python -m worker``: a worker on this machine, until Ctrl-C or SIGTERM."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from backend import log
from backend.ledger.timers import Timers
from backend.settings import SettingsError, load
from worker.hardware import new_identity
from worker.host import Host
from worker.identity import open_context
from worker.processors import THREAD_SETTINGS

_USER_MUST_CHANGE_SOMETHING: Final = 2


def main(arguments: Sequence[str]) -> int:
    """Run the worker; the exit code."""
    options = _options(arguments)
    log.configure()
    for name, value in THREAD_SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return _USER_MUST_CHANGE_SOMETHING
    identity = new_identity(settings, options.timers)
    if options.trainer:
        identity = replace(identity, trainer=options.trainer)
    return Host(open_context(identity, settings), os.environ).run()


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker", description="A worker on this machine.")
    # For tests, which can't wait a minute for a lease, nor train a network each time.
    parser.add_argument("--timers", type=Timers.from_json, help=argparse.SUPPRESS)
    parser.add_argument("--trainer", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
