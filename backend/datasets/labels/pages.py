"""Pages where labels are chosen, and the pictures looked at as the network will see them."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from backend.datasets.batch import batch
from backend.datasets.context import dataset_context
from backend.datasets.labels.apply import label_images
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.evaluation import rule_processes
from backend.datasets.labels.form import EMPTY_HINTS, KINDS, LEVELS, SPLIT_FIELDS, LabelForm, fields_of
from backend.datasets.labels.freeze import freeze
from backend.datasets.labels.preview import Preview, preview, preview_of
from backend.datasets.labels.suggestions import Suggestion, suggest
from backend.datasets.labels.version_view import version_lines
from backend.datasets.labels.view import bare_samples, samples
from backend.datasets.repository import DatasetRepository, ImageNames
from backend.datasets.urls import batch_image_url, thumbnail_url
from backend.datasets.versions import find_version, latest_version
from backend.dependencies import ReadDep, Services, ServicesDep, StorageDep
from backend.domain.errors import InvalidInput
from backend.domain.labels.rules import ByTable, RuleSpec
from backend.domain.labels.rules import parse_spec as parse_rule_spec
from backend.domain.manifest import Split
from backend.domain.splitting import parse_spec as parse_split_spec
from backend.journey.steps import StepName
from backend.tables.datasets import VersionRow
from backend.templating import address, counted, page

router = APIRouter(include_in_schema=False)

CLASSES_OPEN = 40
UNLABELLED = 24
IMAGE_SIZE = 224
VERY_FEW = 60
"""Pictures below which scores are unreliable."""


async def _form(request: Request) -> LabelForm:
    return LabelForm.of_fields(await request.form())


FormDep = Annotated[LabelForm, Depends(_form)]


@router.get("/datasets/{dataset_id}/labels")
def show_labels(
    request: Request,
    session: ReadDep,
    storage: StorageDep,
    dataset_id: str,
    use: Annotated[int | None, Query(ge=0, le=20)] = None,
) -> Response:
    """Step 2: how labels are read, with the best rule applied already; ``use`` takes another suggestion."""
    context = dataset_context(session, dataset_id, StepName.LABELS)
    if not context["dataset"].images:
        return page(request, "datasets/labels_empty.html", **context)
    # Whoever opens this page types a rule next.
    rule_processes().start()
    content = DatasetContent.of(session, storage, dataset_id)
    suggestions = suggest(content)
    form = _first_form(session, dataset_id, suggestions, use)
    return _labels_page(request, content, form, suggestions=suggestions)


@router.post("/datasets/{dataset_id}/labels/show")
def show(request: Request, session: ReadDep, storage: StorageDep, dataset_id: str, form: FormDep) -> Response:
    """The labels page with what the form says, where no script does it."""
    return _labels_page(request, DatasetContent.of(session, storage, dataset_id), form)


@router.post("/datasets/{dataset_id}/labels/preview")
def show_preview(request: Request, session: ReadDep, storage: StorageDep, dataset_id: str, form: FormDep) -> Response:
    """Only the part that changes while a rule is edited."""
    try:
        rule, split = form.specs
        shown = preview(DatasetContent.of(session, storage, dataset_id), rule, split)
    except InvalidInput as error:
        error.details["fields"] = dict(fields_of(error, form))
        raise
    dataset = DatasetRepository(session).get(dataset_id)
    return page(request, "datasets/_preview.html", dataset=dataset, **_preview_context(shown, rule))


@router.post("/datasets/{dataset_id}/labels")
def freeze_labels(request: Request, services: ServicesDep, dataset_id: str, form: FormDep) -> Response:
    """“These labels are right”: freeze them and go on to look at them."""
    try:
        version_id = freeze(services.database, services.storage, dataset_id, *form.specs).id
    except InvalidInput as error:
        return _refused(request, services, dataset_id, form, error)
    return RedirectResponse(address(request, f"/versions/{version_id}"), 303)


@router.get("/versions/{version_id}")
def look(
    request: Request,
    session: ReadDep,
    version_id: str,
    seed: Annotated[int | None, Query(ge=0, le=2**53 - 1)] = None,
    augmented: Annotated[list[str] | None, Query(max_length=2)] = None,
) -> Response:
    """Step 3: nine pictures exactly as the network gets them."""
    version = find_version(session, version_id)
    # A box that isn't ticked sends nothing, so the form sends “false” along with every answer.
    is_augmented = augmented is None or "true" in augmented
    used = secrets.randbelow(10**6) if seed is None else seed
    return page(
        request,
        "datasets/look.html",
        **dataset_context(session, version.dataset_id, StepName.LOOK),
        version=version,
        seed=used,
        augmented=is_augmented,
        image_size=IMAGE_SIZE,
        batch=[
            (item.label, batch_image_url(version_id, item.image_id, seed=item.seed, augmented=is_augmented, size=224))
            for item in batch(session, version_id, n=9, seed=used)
        ],
        versions=version_lines(session, version.dataset_id, of=version.id),
        **_class_table(version),
    )


def _first_form(session: Session, dataset_id: str, suggestions: list[Suggestion], use: int | None) -> LabelForm:
    """The suggestion that was asked for; else what the newest version has; else the best suggestion."""
    version = latest_version(session, dataset_id)
    if use is None and version is not None:
        return LabelForm.of_specs(parse_rule_spec(version.rule), parse_split_spec(version.split))
    if not suggestions:
        return LabelForm()
    chosen = suggestions[min(use or 0, len(suggestions) - 1)]
    return LabelForm.of_specs(chosen.rule, chosen.split)


def _refused(request: Request, services: Services, dataset_id: str, form: LabelForm, error: InvalidInput) -> Response:
    with services.database.read() as session:
        return _labels_page(request, DatasetContent.of(session, services.storage, dataset_id), form, error)


def _labels_page(
    request: Request,
    content: DatasetContent,
    form: LabelForm,
    error: InvalidInput | None = None,
    suggestions: list[Suggestion] | None = None,
) -> Response:
    if suggestions is None:
        suggestions = suggest(content)
    refused = error
    context: dict[str, Any]  # Any: the template's context
    try:
        rule, split = form.specs
        labelled = next((found.labelled for found in suggestions if found.rule == rule), None)
        shown = preview_of(content, labelled or label_images(content, rule), split)
    except InvalidInput as problem:
        refused = error or problem
        context = {"samples": bare_samples(content.images), "has_preview": False}
    else:
        context = _preview_context(shown, rule) | {"has_preview": True}
    errors = fields_of(refused, form) if refused else {}
    return page(
        request,
        "datasets/labels.html",
        status=422 if error else 200,
        **dataset_context(content.session, content.dataset_id, StepName.LABELS),
        **context,
        form=form,
        kinds=KINDS,
        empty_hints=EMPTY_HINTS,
        levels=LEVELS,
        suggestions=[
            (number, suggestion.words, LabelForm.of_specs(suggestion.rule, suggestion.split) == form)
            for number, suggestion in enumerate(suggestions)
        ],
        **_tables(content),
        errors=errors,
        is_split_error=not SPLIT_FIELDS.isdisjoint(errors),
        versions=version_lines(content.session, content.dataset_id),
    )


def _tables(content: DatasetContent) -> dict[str, Any]:  # Any: the template's context
    about = content.about_images()
    # A note such as README.txt is a table only if it names pictures.
    names = [row.path for row in content.tables if row.path in about or not row.path.casefold().endswith(".txt")]
    first = [("", "the one that names the pictures")] if len(names) == 1 or len(about) == 1 else []
    return {"tables": names, "table_options": first + [(name, name) for name in names]}


def _preview_context(shown: Preview, rule: RuleSpec) -> dict[str, Any]:  # Any: the template's context
    sizes = [found.images for found in shown.classes]
    return {
        "classes": shown.classes[:CLASSES_OPEN],
        "more_classes": shown.classes[CLASSES_OPEN:],
        "largest": max(sizes, default=0),
        "labelled": shown.labelled,
        "warnings": shown.warnings,
        "unlabelled": shown.unlabelled[:UNLABELLED],
        "unlabelled_count": len(shown.unlabelled),
        "held_out": _held_out(shown),
        "can_freeze": len(shown.classes) > 1 and {side for found in shown.classes for side in found.splits} >= _NEEDED,
        "samples": samples(shown, rule),
        "read_table": _read_table(shown),
        "thumbnail_of": _thumbnail_of,
    }


_NEEDED = {Split.TRAIN, Split.VALID}


def _thumbnail_of(image: ImageNames) -> str:
    return thumbnail_url(image.id, digest=image.digest)


def _held_out(shown: Preview) -> str:
    sides: dict[str, int] = {}
    for found in shown.classes:
        for side, count in found.splits.items():
            sides[side.value] = sides.get(side.value, 0) + count
    words = f"{sides.get('train', 0):,} to learn from, {sides.get('valid', 0):,} held out for testing"
    return words + (f", {sides['test']:,} for a final test" if sides.get("test") else "")


_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def _read_table(shown: Preview) -> str:
    """How a table was understood, in a sentence; empty where there is none."""
    if shown.table is None:
        return ""
    table, rule = shown.table.table, shown.rule
    if not isinstance(rule, ByTable):
        return ""
    labels = ", ".join(rule.label_columns[:5]) + (" …" if len(rule.label_columns) > 5 else "")
    where = f"one column for each class: {labels}" if len(rule.label_columns) > 1 else f"labels in “{labels}”"
    columns = f"pictures in “{rule.image_column}”, {where}"
    separator = _SEPARATORS.get(shown.table.delimiter, shown.table.delimiter)
    cells = f"{counted(len(table.rows), 'row')}, cells parted by {separator}, {shown.table.encoding}"
    return f"{table.file}: {cells}; {columns}."


def _class_table(version: VersionRow) -> dict[str, Any]:  # Any: the template's context
    rows = [{"name": name, **version.counts[name]} for name in version.classes]
    sums = {side: sum(row[side] for row in rows) for side in ("train", "valid", "test")}
    total = sum(sums.values())
    warnings = [
        f"{counted(total, 'picture')} {'is' if total == 1 else 'are'} very few, so the score will be unreliable. "
        "Aim for 30 or more per class."
    ]
    return {
        "classes": rows,
        "sums": sums,
        "has_test": sums["test"] > 0,
        "warnings": warnings if total < VERY_FEW else [],
    }
