"""The pages of the API."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.templating import render

router = APIRouter(include_in_schema=False)


@router.get("/api/docs")
def api_docs(request: Request) -> Response:
    """The OpenAPI document, to read and to try out."""
    return render(request, "system/api_docs.html", {"section": "api"})
