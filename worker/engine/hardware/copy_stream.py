"""Bringing batches to the device while it still learns from the one before."""

from collections.abc import Callable

import torch
from torch import Tensor


class Sender:
    """Copies batches to the device while steps run.

    On a GPU steps are only queued when the next batch is asked for. In the same queue a copy would
    wait for them; in a stream of its own it runs meanwhile. A processor has one queue and does all in order.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        on_gpu = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if on_gpu else None  # type: ignore[no-untyped-call]  # torch's own

    def send(self, make: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Inputs and targets as ``make`` makes them on the device; whatever is asked of them next comes after it."""
        # No stream is no change of stream.
        with torch.cuda.stream(self._stream):
            made = make()
        if self._stream is not None:
            steps = torch.cuda.current_stream(self._device)
            steps.wait_stream(self._stream)
            for tensor in made:
                # Else its memory would be given away as soon as the stream that made it has no more use for it.
                tensor.record_stream(steps)
        return made
