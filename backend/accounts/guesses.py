"""Wrong tokens by address, so that nobody can try them all.

Kept in memory: a guess must not cost a write to the database. A program that goes on with a token that was taken away
repeats one secret; a guesser sends a different one each time. So the first only gets 429 instead of 401, while after
the second not even a right token is accepted from that address, unless it has worked from there before.
"""

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import timedelta
from threading import Lock
from typing import Final

TRIES: Final = 20
WINDOW: Final = timedelta(minutes=1)
"""So many wrong keys an address may send within this time."""
_KEPT_EACH: Final = 100
_ADDRESSES: Final = 10_000
_PAIRS: Final = 10_000


class Guesses:
    """Wrong and right tokens that were sent lately.

    Args:
        clock: seconds that never go backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._wrong: OrderedDict[str, deque[tuple[float, str]]] = OrderedDict()
        self._right: OrderedDict[tuple[str, str], None] = OrderedDict()

    def is_wrong_too_often(self, address: str, sha256: str) -> bool:
        """Note a wrong token; whether there were too many before it."""
        with self._lock:
            recent = self._recent(address)
            recent.append((self._clock(), sha256))
            self._wrong[address] = recent
            self._wrong.move_to_end(address)
            if len(self._wrong) > _ADDRESSES:
                self._wrong.popitem(last=False)
            return len(recent) > TRIES

    def must_wait(self, address: str, sha256: str) -> bool:
        """Whether a right token is refused for now, because its address has been guessing."""
        with self._lock:
            if (address, sha256) in self._right:
                return False
            if len({wrong for _, wrong in self._recent(address)}) >= TRIES:
                return True
            self._right[address, sha256] = None
            if len(self._right) > _PAIRS:
                self._right.popitem(last=False)
            return False

    def _recent(self, address: str) -> deque[tuple[float, str]]:
        since = self._clock() - WINDOW.total_seconds()
        kept = (entry for entry in self._wrong.get(address, ()) if entry[0] > since)
        return deque(kept, maxlen=_KEPT_EACH)


def network_of(host: str | None) -> str:
    """The address by which guesses are counted: of IPv6 the half that its user can't change at will."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return (host or "unknown")[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
