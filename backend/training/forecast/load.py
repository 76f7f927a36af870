"""What other programs on a machine do to the time that a training takes there."""

from dataclasses import dataclass
from typing import Final

from backend.training.forecast.work import Work

_ON_ONE_THREAD: Final = frozenset({Work.START, Work.PREPARE, Work.HEAD, Work.EXPORT})
"""Work that mostly uses one processor, and finds a free one as long as there is any."""
_WORTH_A_WORD: Final = 1.15


@dataclass(frozen=True, slots=True)
class Load:
    """So many threads of other programs want one of a machine's processors, on average."""

    other_threads: float = 0.0
    processors: int = 1

    def slowdown(self, work: Work = Work.MOVE) -> float:
        """How many times longer such work takes than on the quiet machine, as all threads get equal shares; at least 1.

        Most work has a thread for each processor. What hardly slows that is no load.
        """
        whole = 1 + self.other_threads / self.processors
        if whole < _WORTH_A_WORD:
            return 1.0
        return max(1.0, (1 + self.other_threads) / self.processors) if work in _ON_ONE_THREAD else whole

    @property
    def words(self) -> str:
        """``; other programs use the processors, which makes it about 1.5 times as long``; empty where none do."""
        if self.slowdown() == 1.0:
            return ""
        return f"; other programs use the processors, which makes it about {self.slowdown():.1f} times as long"


QUIET: Final = Load()
