"""What strangeness is measured by, kept ready for the checkpoints that were asked last."""

import threading
from collections import OrderedDict
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from backend.domain.confidence.strangeness import Measure
from backend.training.confidence.chosen import Chosen, familiarity_of_checkpoint

_MOST: Final = 4
_KNOWN: Final[OrderedDict[tuple[str, datetime], Measure | None]] = OrderedDict()
_LOCK: Final = threading.Lock()


def measure_of(session: Session, checkpoint_id: str, chosen: Chosen) -> Measure | None:
    """What the strangeness of new pictures is measured by; None where no limit of it was chosen."""
    if chosen.settings.strangeness_limit is None or chosen.measured_at is None:
        return None
    key = (checkpoint_id, chosen.measured_at)
    with _LOCK:
        if key in _KNOWN:
            _KNOWN.move_to_end(key)
            return _KNOWN[key]
    found = familiarity_of_checkpoint(session, checkpoint_id)
    with _LOCK:
        _KNOWN[key] = None if found is None else found.measure
        while len(_KNOWN) > _MOST:
            _KNOWN.popitem(last=False)
        return _KNOWN[key]
