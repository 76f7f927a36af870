"""One optimizer step: forward, backward, update, with smaller parts where memory is too small."""

from typing import Final

import torch
from torch import Tensor
from torch.optim import AdamW

from worker.engine.hardware.memory import PartialUpdate, is_out_of_memory
from worker.engine.loop.depthwise import fast_depthwise
from worker.engine.loop.run import NotFinite, StageRun
from worker.engine.parallel.ranks import OutOfMemoryElsewhere, Share

MAX_OVERFLOWS: Final = 20
"""Steps in a row in which float16 may overflow while its scale is adjusted."""


def take_step(
    run: StageRun, inputs: Tensor, targets: Tensor, guard: "Guard | None" = None, share: Share | None = None
) -> Tensor:
    """One optimizer update; returns its loss, a scalar still on the device.

    ``share`` is which rows of the batch the inputs are, where several processes compute it; None is all.

    Where the memory is too small, gradients are computed for smaller parts of the batch.
    A guard is checked before weights change.

    Raises:
        PartialUpdate: memory ran out while weights were being changed.
        NotFinite: by the guard; no weight has changed.
    """
    loss = gradients(run, inputs, targets, share)
    if guard is not None:
        run.scaler.unscale_(run.optimizer)
        guard.note(loss, total_norm(run.optimizer))
        guard.skip_if_bad(run.optimizer)
    with run.ranks.agreeing():
        try:
            run.scaler.step(run.optimizer)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise PartialUpdate from error
            raise
    run.scaler.update()
    return loss


def gradients(run: StageRun, inputs: Tensor, targets: Tensor, share: Share | None = None) -> Tensor:
    """Put the batch's gradients into the parameters; returns its loss.

    Parts of a batch count by their images, so that they add up to the whole. After
    a failed try, in whichever process, random numbers and batch norm's statistics are put back first.
    """
    share = share or Share((len(targets),))
    before = _Before(run)
    while True:
        fewest = run.min_micro_batch
        try:
            loss = _accumulated(run, inputs, targets, share, run.limits.parts(share.largest, fewest))
            has_failed, is_known = False, False
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            has_failed, is_known = True, isinstance(error, OutOfMemoryElsewhere)
        if not (is_known or run.ranks.any(has_failed)):
            run.average_gradients()
            return run.ranks.mean(loss)
        run.optimizer.zero_grad(set_to_none=True)
        with run.ranks.agreeing():
            run.limits.halve(share.largest, fewest)
        before.restore()


def _accumulated(run: StageRun, inputs: Tensor, targets: Tensor, share: Share, parts: int) -> Tensor:
    run.optimizer.zero_grad(set_to_none=True)
    losses = []
    for part, (some, wanted) in enumerate(zip(inputs.tensor_split(parts), targets.tensor_split(parts), strict=True)):
        run.ranks.computing(share.part(part, parts))
        with (
            torch.autocast(run.device.type, dtype=run.autocast, enabled=run.autocast is not None),
            fast_depthwise(run.device, run.autocast),
        ):
            loss = run.criterion(run.forward(some).float(), wanted) / share.divisor
        run.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch's own
        losses.append(loss.detach())
    return torch.stack(losses).sum()


def total_norm(optimizer: AdamW) -> Tensor:
    """Norm of all gradients together, a scalar still on the device."""
    gradients = [
        parameter.grad
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    return torch.nn.utils.get_total_norm(gradients)


class _Before:
    """Random numbers and batch norm's statistics as they were before a step was tried."""

    def __init__(self, run: StageRun) -> None:
        self._device = run.device
        self._random = torch.get_rng_state()
        self._random_cuda = torch.cuda.get_rng_state(run.device) if run.device.type == "cuda" else None
        self._buffers = [(buffer, buffer.clone()) for module in run.learning_norms for buffer in module.buffers()]

    def restore(self) -> None:
        torch.set_rng_state(self._random)
        if self._random_cuda is not None:
            torch.cuda.set_rng_state(self._random_cuda, self._device)
        for buffer, kept in self._buffers:
            buffer.copy_(kept)


class Guard:
    """Checks that losses and gradients are finite.

    On a processor each step is checked before it is taken. Reading a value back stalls a GPU, so there
    the result stays on the device, where the optimizer skips a bad step and all that follow; it is read
    before anything is reported or saved.
    """

    def __init__(self, run: StageRun) -> None:
        self._checks_at_once = run.device.type == "cpu"
        self._may_overflow = run.scaler.is_enabled()
        self._is_bad = torch.zeros((), dtype=torch.bool, device=run.device)
        self._overflows = torch.zeros((), dtype=torch.int32, device=run.device)

    def note(self, loss: Tensor, norm: Tensor) -> None:
        """Note a step's loss and the norm of its gradients.

        Raises:
            NotFinite: on a processor.
        """
        is_bad, overflows = ~torch.isfinite(loss), ~torch.isfinite(norm)
        if self._may_overflow:
            # The scaler skips such a step and scales less; it is a bad sign only where it never ends.
            self._overflows = torch.where(overflows, self._overflows + 1, 0)
            overflows = self._overflows > MAX_OVERFLOWS
        self._is_bad = self._is_bad | is_bad | overflows
        if self._checks_at_once:
            self.check()

    def skip_if_bad(self, optimizer: AdamW) -> None:
        """Make the optimizer skip its next step if one so far was bad; the scaler of float16 does that itself."""
        if not self._checks_at_once and not self._may_overflow:
            optimizer.found_inf = self._is_bad.float()  # type: ignore[attr-defined]  # as torch's GradScaler does

    def check(self) -> None:
        """Check all steps so far.

        Raises:
            NotFinite: a loss or gradient was not.
        """
        if bool(self._is_bad):
            raise NotFinite
