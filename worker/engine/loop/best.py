"""The best epoch of a stage: which it is, and its weights on disk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import safetensors.torch

from backend.domain.results import model_rank
from worker.engine.checkpoints.checkpoint import weights_of
from worker.engine.checkpoints.durable import sha256, write_file
from worker.engine.network.architectures import Classifier

KEPT: Final = 3
"""Best epochs remembered: the best, the one before in case its file is damaged, and one that an older state knows."""


@dataclass(frozen=True, slots=True)
class Best:
    """An epoch that was better than all before it, and the file of its weights where they are kept."""

    epoch: int
    error_rate: float
    valid_loss: float
    file: str = ""
    sha256: str = ""

    def is_better_than(self, other: "Best") -> bool:
        """Fewer errors; of equals, the lower loss."""
        return model_rank(self.error_rate, self.valid_loss) < model_rank(other.error_rate, other.valid_loss)


def keep(folder: Path, model: Classifier, stage: int, best: Best) -> Best:
    """Write the weights of the best epoch so far."""
    content = weights_of(model)
    digest = sha256(content)
    file = f"best-{stage}-{best.epoch}-{digest[:12]}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / file, content)
    return replace(best, file=file, sha256=digest)


def load(folder: Path, model: Classifier, bests: Sequence[Best]) -> tuple[Best | None, list[Best]]:
    """Put the newest of the bests that is whole into the network; those passed over, too."""
    passed_over: list[Best] = []
    for best in reversed(bests):
        content = _read(folder / best.file) if best.file else b""
        if sha256(content) == best.sha256:
            model.load_state_dict(safetensors.torch.load(content))
            return best, passed_over
        passed_over.append(best)
    return None, passed_over


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
