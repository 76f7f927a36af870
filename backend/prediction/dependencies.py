"""What the REST endpoint and the page of predictions share."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request, UploadFile

from backend.domain.images import name_in_form
from backend.prediction.models import ModelCache
from backend.prediction.service import MAX_FILE_BYTES


def models(request: Request) -> ModelCache:
    """The application's loaded models."""
    found = request.app.state.models
    assert isinstance(found, ModelCache)
    return found


ModelsDep = Annotated[ModelCache, Depends(models)]


def contents(files: list[UploadFile]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files, read one by one; a file that is too large is cut short."""
    for file in files:
        yield name_in_form(file.filename or ""), file.file.read(MAX_FILE_BYTES + 1)
