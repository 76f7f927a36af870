"""Make heat maps of test pictures, and keep those that were made."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open

from backend.domain.attribution import Head, attribution, evidence
from backend.domain.errors import Conflict, InvalidInput
from backend.imaging.pool import DecodingPool
from backend.prediction.heatmaps.drawing import Style, drawn
from backend.prediction.models import Model, ModelCache, ModelMissing, ModelSource
from backend.prediction.run_picture import RunPicture
from backend.storage.base import Storage
from backend.storage.local import write_file
from backend.training.model_files import ModelDamaged, ModelFile, verified

_FORMAT: Final = 1
"""Raised when heat maps look different, so that kept ones are made anew."""
KEPT_IN_A_FOLDER: Final = 20
"""Of 256 folders, with about 20 kB a file: 100 MB for all runs together."""


class HeatmapsUnavailable(Conflict):
    """The model's file doesn't give its last feature map, or the map's positions aren't those of the picture."""

    code = "heatmaps-unavailable"

    def __init__(self, checkpoint_id: str) -> None:
        super().__init__(
            "This model has no heat maps.",
            advice="Heat maps need a model that was trained after they were added, with any network but a transformer, "
            "whose parts each know the whole picture. Train again to get them.",
            details={"checkpoint_id": checkpoint_id},
        )


class ClassUnknown(InvalidInput):
    """The model has no class of that name."""

    code = "class-unknown"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The model has no class called “{name}”.",
            advice="Send “predicted”, “actual” or the name of one of its classes.",
            details={"of": name},
        )


def heatmap(
    cache: ModelCache,
    decoders: DecodingPool,
    storage: Storage,
    tested: RunPicture,
    of: str,
    style: Style,
) -> bytes:
    """A PNG that shows which parts of a test picture speak for a class; made once, then kept for a while.

    ``of``: ``predicted``, ``actual`` (the label) or a class.

    Raises:
        ClassUnknown, HeatmapsUnavailable
        ModelMissing, ModelDamaged, ImageFileMissing, PictureUnreadable, DecodersBusy, DecodersDown
    """
    image, source = tested.image, tested.source
    name = {"predicted": image.predicted, "actual": image.actual}.get(of, of)
    if name not in source.classes:
        raise ClassUnknown(name)
    target = source.classes.index(name)
    file = _file_name(tested, target, style)
    kept = storage.folder("heatmaps", file[:2]) / file
    for place in (_folder_ahead(storage, source) / file, kept):
        with suppress(FileNotFoundError):
            return place.read_bytes()
    made = _made(cache, decoders, storage, tested, target, style)
    # On a full disk it is made again each time.
    with suppress(OSError):
        _keep(kept, made)
    return made


def make_ahead(cache: ModelCache, decoders: DecodingPool, storage: Storage, tested: RunPicture) -> bool:
    """Make the heat map that pages show first of a test picture, and keep it as long as its model; whether it was made.

    Raises:
        HeatmapsUnavailable, ModelMissing, ModelDamaged, ImageFileMissing, PictureUnreadable, DecodersBusy, DecodersDown
    """
    target = tested.source.classes.index(tested.image.predicted)
    place = _folder_ahead(storage, tested.source) / _file_name(tested, target, Style.COLOUR)
    if place.exists():
        return False
    write_file(place, _made(cache, decoders, storage, tested, target, Style.COLOUR))
    return True


def _made(
    cache: ModelCache, decoders: DecodingPool, storage: Storage, tested: RunPicture, target: int, style: Style
) -> bytes:
    image, source = tested.image, tested.source
    model = cache.model(source)
    if not model.has_feature_map:
        raise HeatmapsUnavailable(source.checkpoint_id)
    head = _head(model, source)
    heat = evidence(attribution(model.feature_map(tested.view(storage, decoders)), head, target))
    return drawn(heat, (image.width, image.height), source.preprocessing, style)


def _head(model: Model, source: ModelSource) -> Head:
    """The head of a loaded model, read when its first heat map is asked for."""
    if model.head is None:
        try:
            verified(source.folder, ModelFile.WEIGHTS, source.checkpoint_id)
            with safe_open(source.folder / ModelFile.WEIGHTS, framework="numpy") as file:
                names = filter(lambda name: name.startswith("head."), file.keys())
                model.head = Head.of({name: file.get_tensor(name) for name in names})
        except FileNotFoundError as error:
            raise ModelMissing(source.checkpoint_id) from error
        except (SafetensorError, KeyError) as error:
            raise ModelDamaged(source.checkpoint_id) from error
    return model.head


def _file_name(tested: RunPicture, target: int, style: Style) -> str:
    source = tested.source
    key = f"{source.sha256} {source.checkpoint_id} {tested.image.digest} {target} {style} {_FORMAT}"
    return f"{hashlib.sha256(key.encode()).hexdigest()}.png"


def _folder_ahead(storage: Storage, source: ModelSource) -> Path:
    """A folder of the model's own, which goes when the model does."""
    return storage.folder("heatmaps", source.folder.name)


def _keep(place: Path, content: bytes) -> None:
    write_file(place, content)
    newest_first = sorted(place.parent.glob("*.png"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for old in newest_first[KEPT_IN_A_FOLDER:]:
        old.unlink(missing_ok=True)
