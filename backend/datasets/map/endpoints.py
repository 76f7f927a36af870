"""The map of a dataset's pictures, by REST."""

from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Query, Response

from backend.datasets.map.positions import View
from backend.datasets.map.schemas import MapRead, MapValuesRead, StraysRead
from backend.datasets.map.service import ColourBy, arrange, map_of, positions_of, stop, strays_of, values_of
from backend.datasets.repository import DatasetRepository
from backend.dependencies import ReadDep, SettingsDep, StorageDep

router = APIRouter(prefix="/api/v1", tags=["datasets"])
Key = Annotated[str, Query(max_length=64, description="The map's key.")]
_BINARY: Final[dict[int | str, dict[str, Any]]] = {  # Any: OpenAPI
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get("/datasets/{dataset_id}/map")
def get_map(dataset_id: str, session: ReadDep, settings: SettingsDep) -> MapRead:
    """How the pictures are arranged at present, and how far the arrangement by similarity is."""
    return MapRead.of(map_of(session, settings.features_folder, dataset_id))


@router.post("/datasets/{dataset_id}/map/arrangement", status_code=202)
def start_arrangement(dataset_id: str, session: ReadDep, settings: SettingsDep) -> MapRead:
    """Arrange the map by similarity (t-SNE), in the background; nothing happens where that is done or under way."""
    return MapRead.of(arrange(session, settings.features_folder, dataset_id))


@router.delete("/datasets/{dataset_id}/map/arrangement")
def stop_arrangement(dataset_id: str, session: ReadDep, settings: SettingsDep) -> MapRead:
    """Stop arranging the map; it stays arranged by the two main directions of the features."""
    return MapRead.of(stop(session, settings.features_folder, dataset_id))


@router.get("/datasets/{dataset_id}/map/positions", response_class=Response, responses=_BINARY)
def get_positions(dataset_id: str, session: ReadDep, settings: SettingsDep, key: Key, view: View) -> Response:
    """Where N pictures lie: N times x and y as float32 in [-1, 1], little-endian; then N times the id as 16 bytes."""
    DatasetRepository(session).get(dataset_id)
    source, positions = positions_of(settings.features_folder, dataset_id, key, view)
    content = positions.astype(np.dtype("<f4")).tobytes() + bytes.fromhex("".join(source.image_ids))
    # The key names pictures and features; of one key and view there is only one arrangement, but for chance.
    headers = {"Cache-Control": "private, max-age=3600"}
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.get("/datasets/{dataset_id}/map/values")
def get_values(
    dataset_id: str,
    session: ReadDep,
    storage: StorageDep,
    settings: SettingsDep,
    key: Key,
    by: ColourBy = ColourBy.CLASS,
    run: Annotated[str, Query(max_length=64, description="Whose answers, for `result` and `predicted`.")] = "",
) -> MapValuesRead:
    """What each picture is coloured by: its label at present, its set in the newest version, or a run's answer."""
    folder = settings.features_folder
    return MapValuesRead.of_values(values_of(session, storage, folder, dataset_id, key, by, run))


@router.get("/datasets/{dataset_id}/map/strays")
def list_strays(
    dataset_id: str, session: ReadDep, storage: StorageDep, settings: SettingsDep, key: Key, view: View
) -> list[StraysRead]:
    """Pictures most of whose ten nearest on the map have one other label, by both labels; the most first."""
    found = strays_of(session, storage, settings.features_folder, dataset_id, key, view)
    return [StraysRead.of(one) for one in found]
