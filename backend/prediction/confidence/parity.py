"""Whether an exported file with the chosen settings answers as Tellapart does, on real pictures."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from backend.datasets.manifests import manifest
from backend.dependencies import Services
from backend.domain.confidence.settings import Verdict
from backend.domain.errors import Unavailable
from backend.domain.json import Json
from backend.domain.manifest import Split
from backend.imaging.errors import Refused
from backend.imaging.pool import DecodingPool
from backend.imaging.preprocessing import Pixels
from backend.imaging.tasks import network_view
from backend.prediction.models import ModelCache, ModelSource
from backend.prediction.service import answers_of
from backend.training.confidence.files import onnx_with
from backend.training.find import find_checkpoint, find_run
from backend.training.model_files import ModelFile, verified

PICTURES: Final = 16
ALLOWED_DIFFERENCE: Final = 1e-3


class ExportWouldDiffer(Unavailable):
    """A file with these settings would answer differently from Tellapart."""

    code = "export-would-differ"

    def __init__(self, checkpoint_id: str, difference: float) -> None:
        super().__init__(
            "An exported file with these settings would answer differently from Tellapart "
            f"(by up to {difference:.3g}), so they were not kept.",
            advice="Leave out the temperature or “none of these”, and report this as a fault.",
            details={"checkpoint_id": checkpoint_id, "difference": difference},
        )


def parity_of(
    services: Services, cache: ModelCache, decoders: DecodingPool, source: ModelSource
) -> dict[str, Json] | None:
    """How the ONNX file with the source's settings compares with the answers of the pages and of REST.

    Of up to 16 test pictures: the largest difference of a probability and of strangeness, and the share with the same
    verdict and first class. None where none of the pictures can be read.

    Raises:
        ExportWouldDiffer
        ModelMissing, ModelDamaged, DecodersBusy, DecodersDown
    """
    views = _test_views(services, decoders, source)
    if not views:
        return None
    model = cache.model(source)
    content = verified(source.folder, ModelFile.ONNX, source.checkpoint_id)
    written = _Exported(onnx_with(content, source.confidence, source.measure)).answers(views)
    answered = answers_of(model, source, views)
    pairs = list(zip(answered, written, strict=True))
    shares = max(float(np.abs(np.subtract(mine[0], its[0])).max()) for mine, its in pairs)
    strange = [abs(mine[1] - its[1]) for mine, its in pairs if mine[1] is not None and its[1] is not None]
    same = [_outcome(source, *mine) == _outcome(source, *its) for mine, its in pairs]
    # Not "greater than": a difference that is not a number must not pass.
    if not shares <= ALLOWED_DIFFERENCE:
        raise ExportWouldDiffer(source.checkpoint_id, shares)
    return {
        "images": len(views),
        "max_difference": shares,
        "max_strangeness_difference": max(strange, default=None),
        "agreement": sum(same) / len(same),
    }


def _test_views(services: Services, decoders: DecodingPool, source: ModelSource) -> list[Pixels]:
    with services.database.read() as session:
        run = find_run(session, find_checkpoint(session, source.checkpoint_id).run_id)
        tested = [image for image in manifest(session, run.version_id).images if image.split is Split.VALID]
    chosen = [tested[place] for place in np.linspace(0, len(tested) - 1, min(PICTURES, len(tested))).astype(int)]
    contents = []
    for image in chosen:
        try:
            contents.append(services.storage.read_blob(image.digest))
        except FileNotFoundError:
            continue
    answers = decoders.run_all(contents, lambda content: (network_view, (content, source.preprocessing)))
    return [view for _, view in answers if view is not None and not isinstance(view, Refused)]


def _outcome(source: ModelSource, probabilities: list[float], strangeness: float | None) -> tuple[Verdict, str]:
    ranked = sorted(zip(source.classes, probabilities, strict=True), key=lambda pair: -pair[1])
    return source.confidence.verdict(ranked, strangeness), ranked[0][0]


class _Exported:
    """An exported file, asked as a program of other people would."""

    def __init__(self, content: bytes) -> None:
        self._session: Any = onnxruntime.InferenceSession(  # Any: onnxruntime comes without types
            content, providers=["CPUExecutionProvider"]
        )

    def answers(self, views: Sequence[Pixels]) -> list[tuple[list[float], float | None]]:
        """Probabilities and strangeness of each view, a few at a time."""
        found: list[tuple[list[float], float | None]] = []
        for begin in range(0, len(views), 8):
            images = np.stack(views[begin : begin + 8]).astype(np.float32).transpose(0, 3, 1, 2) / np.float32(255)
            outputs: list[NDArray[np.float32]] = self._session.run(None, {"images": np.ascontiguousarray(images)})
            strange = outputs[1].tolist() if len(outputs) > 1 else [None] * len(images)
            found += zip(outputs[0].tolist(), strange, strict=True)
        return found
