"""The processes that do one training together, one on each device.

Each has a rank, from 0; the first one alone reports, saves and exports. Whatever they decide (to stop, to save,
that memory ran out) they decide together, at the same step: an exception in one is raised in all. A training of
one process uses ``ALONE``, for which all of that is nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from torch import Tensor, nn

T = TypeVar("T")


class PeerLost(Exception):
    """Another process of the training has ended, so this one can't go on; why is known there."""


class OutOfMemoryElsewhere(MemoryError):
    """The memory of another process was too small for its rows of the batch: all compute the step once more."""


@dataclass(frozen=True, slots=True)
class Share:
    """Which rows of a batch this process computes: one stretch, after those of the lower ranks.

    Attributes:
        counts: rows of each process, by rank.
    """

    counts: tuple[int, ...]
    rank: int = 0

    @property
    def total(self) -> int:
        """Rows of the whole batch."""
        return sum(self.counts)

    @property
    def largest(self) -> int:
        """Rows of the process that has the most."""
        return max(self.counts)

    @property
    def rows(self) -> slice:
        """Where this process's rows are in the batch."""
        first = sum(self.counts[: self.rank])
        return slice(first, first + self.counts[self.rank])

    @property
    def divisor(self) -> float:
        """What a sum over this process's rows is divided by, so that the mean over processes is that over all rows."""
        return self.total / len(self.counts)

    def part(self, number: int, parts: int) -> "Share":
        """The same of one of so many parts, in which each process has a part of its rows."""
        if parts == 1:
            return self
        return Share(tuple(len(part_of(range(count), number, parts)) for count in self.counts), self.rank)


Indices = TypeVar("Indices", range, list[int], "list[tuple[int, int]]")


def part_of(all_of_them: Indices, number: int, parts: int) -> Indices:
    """The ``number``-th of so many nearly equal parts; the first ones are the larger ones."""
    each, more = divmod(len(all_of_them), parts)
    start = number * each + min(number, more)
    return all_of_them[start : start + each + (number < more)]


class Ranks(ABC):
    """The processes of a training, as one of them sees them.

    Every method but ``part_of`` must be called by all processes, in the same order. They raise ``PeerLost``
    where one of them has ended.
    """

    rank: int = 0
    size: int = 1

    def part_of(self, all_of_them: Indices) -> Indices:
        """This process's part: what comes after those of the lower ranks."""
        return part_of(all_of_them, self.rank, self.size)

    @abstractmethod
    def numbers(self, look: Callable[[], tuple[int, ...]]) -> list[tuple[int, ...]]:
        """As many whole numbers of each process as ``look`` returns in each, by rank."""

    @abstractmethod
    def gather(self, make: Callable[[], T]) -> list[T]:
        """What ``make`` returns in each process, by rank."""

    @abstractmethod
    def from_first(self, make: Callable[[], T]) -> T:
        """What ``make`` returns in the first process, where alone it is called."""

    @abstractmethod
    def concatenated(self, rows: Tensor) -> Tensor:
        """The rows of all processes, those of the lowest rank first; shapes differ in their number alone."""

    @abstractmethod
    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over the processes."""

    @abstractmethod
    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over the processes."""

    @abstractmethod
    def averaging(self, parameters: Iterable[nn.Parameter]) -> Callable[[], None]:
        """What makes the gradients of these parameters the mean of those of all processes."""

    @abstractmethod
    def computing(self, share: Share) -> None:
        """Note whose rows the next forward pass computes; called by each process for itself."""

    @abstractmethod
    def share_layers(self, model: nn.Module) -> None:
        """Make layers that depend on the whole batch (dropout's random numbers, batch norm) see all of its rows."""

    @abstractmethod
    def copy_from_first(self, model: nn.Module) -> None:
        """Give the network in each process the numbers of the first one's."""

    def any(self, is_so: bool) -> bool:
        """Whether it is so in one of the processes."""
        return any(bool(is_so_there) for (is_so_there,) in self.numbers(lambda: (int(is_so),)))

    def first_says(self, is_so: bool) -> bool:
        """Whether it is so in the first process: for what depends on a clock or on the disk."""
        return bool(self.numbers(lambda: (int(is_so),))[0][0])

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """Raise what the block raises in one process in all of them."""
        raised: Exception | None = None
        try:
            yield
        except Exception as error:  # whatever it is, the others wait
            if is_known_to_all(error):
                raise
            raised = error
        self.numbers(lambda: _raise(raised))

    def in_turn(self, make: Callable[[], T]) -> T:
        """What ``make`` returns in each process: the first one calls it before all others do."""
        made: list[T] = []
        for is_turn in (self.rank == 0, self.rank > 0):
            with self.agreeing():
                if is_turn:
                    made.append(make())
        return made[0]


_KNOWN: Final = "_is_known_to_all"


def is_known_to_all(error: Exception) -> bool:
    """Whether all processes know of an error, or none is left who doesn't: then it is not sent once more."""
    return isinstance(error, PeerLost) or _KNOWN in vars(error)


def make_known(error: Exception) -> Exception:
    """Note that all processes know of an error; returns it."""
    vars(error)[_KNOWN] = True
    return error


def _raise(error: Exception | None) -> tuple[int, ...]:
    if error is not None:
        raise error
    return ()


class _Alone(Ranks):
    """The only process of a training."""

    def numbers(self, look: Callable[[], tuple[int, ...]]) -> list[tuple[int, ...]]:
        return [look()]

    def gather(self, make: Callable[[], T]) -> list[T]:
        return [make()]

    def from_first(self, make: Callable[[], T]) -> T:
        return make()

    def concatenated(self, rows: Tensor) -> Tensor:
        return rows

    def mean(self, value: Tensor) -> Tensor:
        return value

    def sum(self, value: Tensor) -> Tensor:
        return value

    def averaging(self, parameters: Iterable[nn.Parameter]) -> Callable[[], None]:
        return _nothing

    def computing(self, share: Share) -> None:
        pass

    def share_layers(self, model: nn.Module) -> None:
        pass

    def copy_from_first(self, model: nn.Module) -> None:
        pass

    def any(self, is_so: bool) -> bool:
        return is_so

    def first_says(self, is_so: bool) -> bool:
        return is_so

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        yield

    def in_turn(self, make: Callable[[], T]) -> T:
        return make()


def _nothing() -> None:
    pass


ALONE: Final[Ranks] = _Alone()


def share_of(ranks: Ranks, facts: Sequence[tuple[int, ...]]) -> Share:
    """The share of this process where the first of each process's numbers are its rows."""
    return Share(tuple(fact[0] for fact in facts), ranks.rank)
