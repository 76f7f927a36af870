"""The page with the map of a dataset's pictures; a script draws it."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.datasets.context import dataset_context
from backend.datasets.map.service import map_of
from backend.datasets.pictures.details_repository import PictureDetails
from backend.datasets.versions import latest_version
from backend.dependencies import ReadDep, SettingsDep
from backend.journey.steps import StepName
from backend.templating import page

router = APIRouter(include_in_schema=False)


@router.get("/datasets/{dataset_id}/map")
def map_page(
    request: Request, session: ReadDep, settings: SettingsDep, dataset_id: str, by: str = "", run: str = ""
) -> Response:
    """All examined pictures on a plane, those that look alike close together."""
    context = dataset_context(session, dataset_id, StepName.LOOK) | {"here": "Map"}
    found = map_of(session, settings.features_folder, dataset_id)
    runs = PictureDetails(session).runs(dataset_id)
    colours = [("class", "Class")]
    if runs:
        colours += [("result", "Right or wrong"), ("predicted", "Predicted class")]
    if latest_version(session, dataset_id):
        colours.append(("split", "Split"))
    return page(
        request,
        "datasets/map.html",
        **context,
        map=found,
        colours=colours,
        by=by if by in dict(colours) else "class",
        runs=[(one.id, f"{one.name} (version {one.version})") for one in runs],
        run=run,
    )
