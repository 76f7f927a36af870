"""What is known of pictures before training, as parts of pages."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.datasets.examine.first_guess import first_guess
from backend.dependencies import ReadDep, SettingsDep
from backend.templating import page

router = APIRouter(include_in_schema=False)


@router.get("/versions/{version_id}/first-guess")
def first_guess_part(request: Request, version_id: str, session: ReadDep, settings: SettingsDep) -> Response:
    """How well a first model would do: fetched by the train page, as it takes a moment."""
    found = first_guess(session, settings.features_folder, version_id)
    return page(request, "datasets/_first_guess.html", found=found)
