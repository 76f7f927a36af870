"""A worker's host: how it hears that it is to leave."""

import os
import signal
import threading

from worker.host import Host
from worker.identity import WorkerContext


def test_a_signal_in_any_instant_is_heard_and_waits_for_nobody(context: WorkerContext) -> None:
    """Also one that comes while this very thread is at an event's lock, such as in the handler of another signal."""
    host = Host(context, os.environ)

    def hear_while_at_the_lock() -> None:
        with host._leaving._cond:  # type: ignore[attr-defined]  # the stub keeps it to itself
            host._stop(signal.SIGTERM, None)

    hearing = threading.Thread(target=hear_while_at_the_lock, daemon=True)
    hearing.start()
    hearing.join(10)

    assert not hearing.is_alive()
    assert context.identity.is_draining
