"""The report as an answer: shown in the browser, or saved as a file."""

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from backend.dependencies import Services
from backend.templating import page
from backend.training.export_names import attachment, export_name
from backend.training.exports.facts import run_facts
from backend.training.exports.report import context, report, style


def report_answer(
    request: Request, session: Session, services: Services, checkpoint_id: str, *, is_download: bool
) -> Response:
    """The report of a model.

    Raises:
        CheckpointNotFound, NothingTested
    """
    facts = run_facts(session, services.storage, checkpoint_id)
    found = report(session, services.storage, facts)
    base = (services.settings.base_url or str(request.base_url)).rstrip("/")
    headers = {"Content-Security-Policy": f"{style().policy}; frame-ancestors 'none'"}
    if is_download:
        headers["Content-Disposition"] = attachment(export_name(session, facts.checkpoint, "-report.html"))
    return page(
        request,
        "training/report.html",
        headers=headers,
        is_download=is_download,
        **context(found, f"{base}/runs/{facts.run.id}"),
    )
