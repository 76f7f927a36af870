"""The pages of the API."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.dependencies import SettingsDep
from backend.system.reference import reference
from backend.templating import render

router = APIRouter(include_in_schema=False)


@router.get("/api/docs")
def api_docs(request: Request, settings: SettingsDep) -> Response:
    """The OpenAPI document, to read, with a command for each call."""
    base = settings.base_url or f"{request.url.scheme}://{request.headers['host']}"
    groups = reference(request.app.openapi(), base)
    return render(request, "system/api_docs.html", {"section": "api", "groups": groups})
