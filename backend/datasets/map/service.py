"""A dataset's map as it stands, and what its pictures are coloured by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

import numpy as np
from sqlalchemy.orm import Session

from backend.datasets.errors import RunHasNoResults
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import corrected, rule_or_by_hand
from backend.datasets.map.arranging import ARRANGEMENTS
from backend.datasets.map.errors import MapChanged, MapUnavailable, RunNeeded
from backend.datasets.map.positions import MapSource, View, map_source, read_neighbours
from backend.datasets.map.repository import MapRepository
from backend.datasets.pictures.details_repository import PictureDetails
from backend.datasets.repository import DatasetRepository
from backend.datasets.version_repository import VersionRepository
from backend.datasets.versions import latest_version
from backend.domain.projection import FEWEST, Positions, strays
from backend.storage.base import Storage

Status = Literal["unavailable", "none", "waiting", "computing", "cancelled", "failed", "ready"]
NONE: Final = -1
GONE: Final = -2
SPLITS: Final = {"train": "training", "valid": "validation", "test": "test"}
"""The sets as pages call them."""
_UNTIL_THEN: Final = "Until then the two main differences between pictures are shown (PCA)."
_INSTEAD: Final = "Shown are the two main differences between pictures (PCA)."


class ColourBy(StrEnum):
    """What a picture's colour says."""

    CLASS = "class"
    RESULT = "result"
    PREDICTED = "predicted"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class Map:
    """A dataset's map as it stands.

    Attributes:
        key: what the positions and values are asked for with; empty where there is no map.
        view: by what pictures are arranged at present.
        share: how far the arrangement by similarity is, in 0 to 1.
        images: pictures on the map.
        images_total: pictures of the dataset; those that aren't examined yet aren't on the map.
    """

    status: Status
    key: str
    view: View
    share: float
    images: int
    images_total: int

    @property
    def message(self) -> str:
        """What is to be said of it, in a sentence or two."""
        match self.status:
            case "unavailable":
                return "No picture has been examined yet, so there is nothing to arrange them by."
            case "ready" if self.view is View.COMPONENTS:
                return "So few pictures are arranged by the two main differences between them (PCA)."
            case "ready":
                return "Pictures that look alike to the pretrained network lie close together."
            case "waiting":
                return f"Waiting to be arranged by similarity. {_UNTIL_THEN}"
            case "computing":
                return f"Arranging by similarity: {self.share:.0%} done. {_UNTIL_THEN}".replace("%", " %")
            case "failed":
                return f"The arrangement by similarity failed; the reason is in the server's log. {_INSTEAD}"
            case _:
                return f"Not arranged by similarity. {_INSTEAD}"


@dataclass(frozen=True, slots=True)
class Values:
    """What each picture of a map is coloured by.

    Attributes:
        names: K values.
        of: N indices into ``names``; ``NONE`` where a picture has none, ``GONE`` where it was deleted.
    """

    names: Sequence[str]
    of: Sequence[int]


@dataclass(frozen=True, slots=True)
class Strays:
    """Pictures of a class that lie among those of another."""

    label: str
    among: str
    images: Sequence[int]
    """Their positions in the map's order."""


def map_of(session: Session, folder: Path, dataset_id: str) -> Map:
    """The map of a dataset as it stands. ``folder`` is that of the features. Raises DatasetNotFound."""
    total = DatasetRepository(session).get(dataset_id).images
    source = map_source(folder, dataset_id)
    if source is None:
        return Map("unavailable", "", View.COMPONENTS, 0.0, 0, total)
    count = len(source.image_ids)
    if read_neighbours(folder, dataset_id, source) is not None:
        return Map("ready", source.key, View.NEIGHBOURS, 1.0, count, total)
    if count < FEWEST:
        return Map("ready", source.key, View.COMPONENTS, 1.0, count, total)
    standing, share = ARRANGEMENTS.standing(dataset_id, source.key)
    # Positions that were written are there; if they aren't any more, somebody took them away.
    status: Status = "none" if standing == "done" else standing
    return Map(status, source.key, View.COMPONENTS, share, count, total)


def arrange(session: Session, folder: Path, dataset_id: str) -> Map:
    """Have the map arranged by similarity, unless it is.

    Raises:
        DatasetNotFound, MapUnavailable
    """
    found = map_of(session, folder, dataset_id)
    if found.status == "unavailable":
        raise MapUnavailable
    if found.status == "ready":
        return found
    ARRANGEMENTS.start(folder, dataset_id, found.key)
    return map_of(session, folder, dataset_id)


def stop(session: Session, folder: Path, dataset_id: str) -> Map:
    """End the arrangement that is under way. Raises DatasetNotFound."""
    DatasetRepository(session).get(dataset_id)
    ARRANGEMENTS.cancel(dataset_id)
    return map_of(session, folder, dataset_id)


def positions_of(folder: Path, dataset_id: str, key: str, view: View) -> tuple[MapSource, Positions]:
    """The pictures of a map and where they lie.

    Raises:
        MapChanged: there is no such map (any more).
    """
    source = _source(folder, dataset_id, key)
    if view is View.COMPONENTS:
        return source, source.components
    if (found := read_neighbours(folder, dataset_id, source)) is None:
        raise MapChanged
    return source, found


def values_of(
    session: Session, storage: Storage, folder: Path, dataset_id: str, key: str, by: ColourBy, run_id: str
) -> Values:
    """What the pictures of a map are coloured by.

    Raises:
        DatasetNotFound, MapChanged
        RunNeeded: results are asked for without a run.
        RunHasNoResults
    """
    content = DatasetContent.of(session, storage, dataset_id)
    source = _source(folder, dataset_id, key)
    match by:
        case ColourBy.CLASS:
            named: Mapping[str, str] = _labels(content)
            names = sorted({*named.values()})
        case ColourBy.SPLIT:
            version = latest_version(session, dataset_id)
            splits = VersionRepository(session).splits_of(version.id) if version else {}
            named = {image_id: SPLITS[split] for image_id, split in splits.items()}
            names = [*SPLITS.values()]
        case ColourBy.PREDICTED | ColourBy.RESULT:
            named = _answers(session, dataset_id, run_id, by)
            names = ["right", "wrong"] if by is ColourBy.RESULT else sorted({*named.values()})
    number = {name: index for index, name in enumerate(names)}
    present = {image.id for image in content.images}
    return Values(
        names,
        [
            GONE if image_id not in present else number[named[image_id]] if image_id in named else NONE
            for image_id in source.image_ids
        ],
    )


def strays_of(
    session: Session, storage: Storage, folder: Path, dataset_id: str, key: str, view: View
) -> Sequence[Strays]:
    """Pictures whose nearest on the map mostly have one other label, by both labels; the most first.

    Raises:
        DatasetNotFound, MapChanged
    """
    values = values_of(session, storage, folder, dataset_id, key, ColourBy.CLASS, "")
    _, positions = positions_of(folder, dataset_id, key, view)
    among = strays(positions, np.array(values.of, dtype=np.int64))
    found: dict[tuple[int, int], list[int]] = {}
    for index in np.flatnonzero(among >= 0).tolist():
        found.setdefault((values.of[index], int(among[index])), []).append(index)
    ranked = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [Strays(values.names[mine], values.names[other], images) for (mine, other), images in ranked]


def _source(folder: Path, dataset_id: str, key: str) -> MapSource:
    source = map_source(folder, dataset_id)
    if source is None or source.key != key:
        raise MapChanged
    return source


def _labels(content: DatasetContent) -> Mapping[str, str]:
    return corrected(content, rule_or_by_hand(content).labelled).label_of


def _answers(session: Session, dataset_id: str, run_id: str, by: ColourBy) -> dict[str, str]:
    if not run_id:
        raise RunNeeded
    run = PictureDetails(session).run(dataset_id, run_id)
    if run is None:
        raise RunHasNoResults
    answers = MapRepository(session).answers(run.checkpoint_id)
    if by is ColourBy.PREDICTED:
        return {image_id: predicted for image_id, _, predicted in answers}
    return {image_id: "right" if actual == predicted else "wrong" for image_id, actual, predicted in answers}
