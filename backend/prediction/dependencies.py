"""What both front doors of predictions ask for."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request, UploadFile

from backend.prediction.models import ModelShelf
from backend.prediction.service import MAX_FILE_BYTES


def models(request: Request) -> ModelShelf:
    """The application's loaded models."""
    found = request.app.state.models
    assert isinstance(found, ModelShelf)
    return found


ModelsDep = Annotated[ModelShelf, Depends(models)]


def contents(files: list[UploadFile]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files, read one by one; a file that is too large is cut short."""
    for file in files:
        yield file.filename or "", file.file.read(MAX_FILE_BYTES + 1)
