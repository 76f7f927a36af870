"""Several processes of one training, joined by torch.distributed.

Gradients are averaged by torch's DistributedDataParallel, through nccl on GPUs and gloo on processors. What is decided
together goes through gloo in any case: reading a decision back from a GPU would stall it.
"""

import datetime
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from backend.domain.errors import AppError
from worker.engine.parallel.layers import share_layers
from worker.engine.parallel.ranks import PeerLost, Ranks, Share, is_known_to_all, make_known

T = TypeVar("T")

BACKENDS: Final = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""By kind of device."""

_LONGEST_WAIT: Final = datetime.timedelta(days=30)
"""The others wait while the first process trains a head or downloads weights; who is stuck is found by the worker."""


class JoinedRanks(Ranks):
    """One of the processes that ``torch.distributed`` has joined; ``device`` is its own."""

    def __init__(self, device: torch.device) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._device = device
        self._share: Share | None = None

    def numbers(self, look: Callable[[], tuple[int, ...]]) -> list[tuple[int, ...]]:
        try:
            mine, raised = look(), None
        except Exception as error:  # whatever it is, the others wait
            if is_known_to_all(error):
                raise
            mine, raised = (), error
        facts = self._exchanged((int(raised is not None), *mine))
        if any(fact[0] for fact in facts):
            self._raise_together(raised)
        return [fact[1:] for fact in facts]

    def _exchanged(self, mine: tuple[int, ...]) -> list[tuple[int, ...]]:
        # One length for all: who has failed has nothing to say.
        length = 8
        assert len(mine) <= length, "more numbers than there is room for"
        sent = torch.tensor([len(mine), *mine, *[0] * (length - len(mine))], dtype=torch.int64)
        received = [torch.empty_like(sent) for _ in range(self.size)]
        with _peers_watched():
            dist.all_gather(received, sent)
        return [tuple(row[1 : 1 + row[0]]) for row in (one.tolist() for one in received)]

    def _raise_together(self, raised: Exception | None) -> None:
        """Raise what was raised here, else what the lowest of the others raised."""
        errors = self._objects(None if raised is None else _sendable(raised))
        raise make_known(raised or next(error for error in errors if error is not None))

    def _objects(self, mine: Any) -> list[Any]:  # Any: whatever can be pickled
        received: list[Any] = [None] * self.size
        with _peers_watched():
            dist.all_gather_object(received, mine)
        return received

    def gather(self, make: Callable[[], T]) -> list[T]:
        made: list[T] = []
        with self.agreeing():
            made.append(make())
        return self._objects(made[0])

    def from_first(self, make: Callable[[], T]) -> T:
        made: list[Any] = [None]
        with self.agreeing():
            if self.rank == 0:
                # A network that it trains meanwhile is its own.
                self._share = None
                made[0] = make()
        with _peers_watched():
            dist.broadcast_object_list(made, src=0, device=torch.device("cpu"))
        result: T = made[0]
        return result

    def concatenated(self, rows: Tensor) -> Tensor:
        shapes = self._objects((tuple(rows.shape), rows.dtype))
        shape, dtype = next((one for one in shapes if one[0][0]), shapes[0])
        parts = []
        for rank, (there, _) in enumerate(shapes):
            mine = rows.detach().cpu().contiguous() if rank == self.rank else None
            part = torch.empty((there[0], *shape[1:]), dtype=dtype) if mine is None or not there[0] else mine
            if there[0]:
                with _peers_watched():
                    dist.broadcast(part.view(torch.uint8), src=rank)
            parts.append(part)
        return torch.cat(parts).to(rows.device)

    def mean(self, value: Tensor) -> Tensor:
        return self.sum(value) / self.size

    def sum(self, value: Tensor) -> Tensor:
        total = value.detach().clone()
        with _peers_watched():
            dist.all_reduce(total)
        return total

    def averaging(self, parameters: Iterable[nn.Parameter]) -> Callable[[], None]:
        return _GradientMean(list(parameters), self._device)

    def computing(self, share: Share) -> None:
        self._share = share

    def share_layers(self, model: nn.Module) -> None:
        share_layers(model, self, lambda: self._share)

    def copy_from_first(self, model: nn.Module) -> None:
        for tensor in model.state_dict().values():
            with _peers_watched():
                dist.broadcast(tensor, src=0)


class _GradientMean:
    """Makes gradients the mean of those of all processes.

    The parts of a batch add up their gradients in each process for itself, since one of them may run out of memory
    and all then begin anew. Only when all have succeeded is this called: a pass through DistributedDataParallel
    whose own gradients are zero, so that torch averages what has been added up.
    """

    def __init__(self, parameters: list[nn.Parameter], device: torch.device) -> None:
        self._learning, self._device = _Untouched(parameters), device
        self._parallel: DistributedDataParallel | None = None

    def __call__(self) -> None:
        with _peers_watched():
            if self._parallel is None:
                devices = [self._device] if self._device.type == "cuda" else None
                self._parallel = DistributedDataParallel(self._learning, device_ids=devices)
            self._parallel().backward()


class _Untouched(nn.Module):
    """A function of parameters that is zero, and whose gradients are."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        super().__init__()
        self.learning = nn.ParameterList(parameters)

    def forward(self) -> Tensor:
        return torch.stack([parameter.sum() for parameter in self.learning]).sum() * 0


@contextmanager
def joined(device: torch.device, *, init_method: str, rank: int, size: int) -> Iterator[JoinedRanks]:
    """The processes of a training, from when all have come until the block ends.

    ``init_method`` says where they meet, such as ``file:///folder/file``.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        BACKENDS[device.type], init_method=init_method, rank=rank, world_size=size, timeout=_LONGEST_WAIT
    )
    try:
        yield JoinedRanks(device)
    finally:
        # Who still waits for this process learns by it that it has gone.
        dist.destroy_process_group()


@contextmanager
def _peers_watched() -> Iterator[None]:
    """What torch raises where another process has ended, as what it is.

    Raises:
        PeerLost
    """
    try:
        yield
    except RuntimeError as error:
        if str(error).startswith(("CUDA error", "cuDNN error", "CUDNN_STATUS")):
            raise
        raise PeerLost(str(error)) from error


def _sendable(error: Exception) -> Exception:
    """What the other processes raise for it: the same, where they can make anything of it."""
    is_ours = isinstance(error, AppError) or (not error.args and type(error).__module__.startswith("worker.engine."))
    return error if is_ours else PeerLost(type(error).__name__)
