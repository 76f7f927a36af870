"""Decoding in this process, for files of our own making: no process has to start, whatever else the machine does."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from backend.imaging.errors import Refused, UnreadableImage
from backend.imaging.pool import DecodingPool

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class InProcess(DecodingPool):
    """A decoding pool without processes."""

    def run(self, function: Callable[..., Answer], *arguments: object, wait_s: float | None = None) -> Answer | Refused:
        """``function(*arguments)``, or why the picture was refused."""
        try:
            return function(*arguments)
        except UnreadableImage as refusal:
            return Refused(refusal.reason_code, refusal.message)

    def run_all(
        self,
        items: Iterable[Item],
        call: Callable[[Item], tuple[Callable[..., Answer], tuple[Any, ...]] | None],
        *,
        wait_s: float = 0.0,
        together: int = 1,
    ) -> Iterator[tuple[Item, Answer | Refused | None]]:
        """Every item with the answer of its call."""
        for item in items:
            called = call(item)
            yield item, None if called is None else self.run(called[0], *called[1])
