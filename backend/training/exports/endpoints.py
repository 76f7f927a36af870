"""A model to take away, by REST: its files, and what describes it to others."""

from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session
from starlette.responses import StreamingResponse

from backend.dependencies import ReadDep, Services, ServicesDep
from backend.domain.errors import InvalidInput, Unavailable
from backend.tables.training import CheckpointRow
from backend.training.confidence.chosen import with_settings
from backend.training.export_names import attachment, export_name
from backend.training.exports.answers import report_answer
from backend.training.exports.bundle import bundle
from backend.training.exports.documents import card_of, notebook_of
from backend.training.exports.facts import run_facts
from backend.training.exports.notebook import Library
from backend.training.find import checkpoint_folder, find_checkpoint
from backend.training.model_files import ModelFile, verified

router = APIRouter(prefix="/api/v1", tags=["models"])


class ExportFormat(StrEnum):
    """Forms in which a model can be taken away."""

    ONNX = "onnx"
    SAFETENSORS = "safetensors"
    TORCHSCRIPT = "torchscript"
    NOTEBOOK = "notebook"
    REPORT = "report"
    MODEL_CARD = "model-card"
    HUB = "hub"


class ExportFormatUnavailable(InvalidInput):
    """This version can't make a file of that form yet."""

    code = "export-format-unavailable"

    def __init__(self, wanted: ExportFormat) -> None:
        super().__init__(
            f"This version can't export a model as {wanted.value} yet.",
            advice="Take onnx (runs in most programs) or safetensors (the bare weights).",
            details={"format": wanted, "available": [one for one in ExportFormat if one is not wanted]},
        )


class ExportMissing(Unavailable):
    """The checkpoint's file isn't where it was kept."""

    code = "export-missing"

    def __init__(self, checkpoint_id: str) -> None:
        super().__init__(
            "The file of this model isn't where it was kept.",
            advice="Train again, or bring back the data folder from a backup.",
            details={"checkpoint_id": checkpoint_id},
        )


_FILE_OF: Final = {ExportFormat.ONNX: ModelFile.ONNX, ExportFormat.SAFETENSORS: ModelFile.WEIGHTS}


@router.get("/checkpoints/{checkpoint_id}/export", response_class=Response)
def export_checkpoint(
    checkpoint_id: str,
    request: Request,
    session: ReadDep,
    services: ServicesDep,
    form: Annotated[
        ExportFormat,
        Query(
            alias="format",
            description="`onnx` and `safetensors` are the model's files; `notebook` repeats the training from the "
            "exported version of the dataset; `report` is one HTML file to keep or print; `model-card` is a README "
            "for a model hub, and `hub` a ZIP with all that belongs into a folder there.",
        ),
    ] = ExportFormat.ONNX,
    library: Annotated[Library, Query(description="With what a notebook trains.")] = Library.PYTORCH,
) -> Response:
    """The model as a file, or what describes it; the ONNX file carries classes and preprocessing.

    Where settings of its confidence were chosen, they are in it: ``probabilities`` of the ONNX file have the
    temperature, and with a limit of strangeness it has ``strangeness`` as a second output.
    """
    checkpoint = find_checkpoint(session, checkpoint_id)
    match form:
        case ExportFormat.ONNX | ExportFormat.SAFETENSORS:
            return _model_file(session, services, checkpoint, form)
        case ExportFormat.REPORT:
            return report_answer(request, session, services, checkpoint.id, is_download=True)
        case ExportFormat.HUB:
            return _folder(session, services, checkpoint)
        case ExportFormat.NOTEBOOK | ExportFormat.MODEL_CARD:
            return _document(session, services, checkpoint, form, library)
        case _:
            raise ExportFormatUnavailable(form)


def _model_file(session: Session, services: Services, checkpoint: CheckpointRow, form: ExportFormat) -> Response:
    file = checkpoint_folder(services.storage, checkpoint) / _FILE_OF[form]
    try:
        content = verified(file.parent, _FILE_OF[form], checkpoint.id)
    except FileNotFoundError:
        raise ExportMissing(checkpoint.id) from None
    content = with_settings(session, checkpoint.id, _FILE_OF[form], content)
    return Response(content, media_type="application/octet-stream", headers=_headers(session, checkpoint, file.suffix))


def _document(
    session: Session, services: Services, checkpoint: CheckpointRow, form: ExportFormat, library: Library
) -> Response:
    facts = run_facts(session, services.storage, checkpoint.id)
    if form is ExportFormat.MODEL_CARD:
        headers = _headers(session, checkpoint, "-README.md")
        return Response(card_of(session, facts), media_type="text/markdown; charset=utf-8", headers=headers)
    ending = ".ipynb" if library is Library.PYTORCH else f"-{library}.ipynb"
    content = notebook_of(session, facts, library)
    return Response(content, media_type="application/x-ipynb+json", headers=_headers(session, checkpoint, ending))


def _folder(session: Session, services: Services, checkpoint: CheckpointRow) -> Response:
    try:
        archive = bundle(session, services.storage, run_facts(session, services.storage, checkpoint.id))
    except FileNotFoundError:
        raise ExportMissing(checkpoint.id) from None
    headers = _headers(session, checkpoint, ".zip") | {"Content-Length": str(len(archive))}
    return StreamingResponse(iter(archive), media_type="application/zip", headers=headers)


def _headers(session: Session, checkpoint: CheckpointRow, suffix: str) -> dict[str, str]:
    return {"Content-Disposition": attachment(export_name(session, checkpoint, suffix))}
