"""The report of a training: one file with everything in it, to keep, print or hand on."""

import base64
import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Any, Final

from markupsafe import Markup
from sqlalchemy.orm import Session

from backend.built_files import FRONTEND
from backend.datasets.images import kept_thumbnail
from backend.datasets.versions import faces_of
from backend.domain.ids import CheckpointId, Digest, RunId
from backend.domain.json import Json
from backend.domain.results import Confusion, proportion_words
from backend.imaging.thumbnails import SIZES, media_type_of
from backend.interpretation import matrix_view, service
from backend.interpretation.answers import AnsweredImage, Filter
from backend.interpretation.class_table import ClassRow, SortBy, class_table
from backend.interpretation.find import results_of
from backend.interpretation.service import Summary
from backend.storage.base import Storage
from backend.training.exports.charts import Chart, loss_chart, rate_chart
from backend.training.exports.facts import RunFacts, StageDone
from backend.training.repository import RunRepository
from backend.training.run_page.hardware import machine_of
from backend.training.run_page.settings import Section, settings_in_words
from backend.version import version as program_version

FACES: Final = 120
"""Pictures of classes in all: about a megabyte, whatever the dataset's size."""
_FACES_EACH: Final = 4
WORST: Final = 12
PAIRS: Final = 12
_CLASSES: Final = 200
"""Lines of the table of classes; of more, the worst."""
_LIBRARIES: Final = ("torch", "torchvision", "timm", "onnxruntime", "numpy", "pillow")


@dataclass(frozen=True, slots=True)
class ClassFaces:
    """A class: how many pictures each side has of it, and a few of them as addresses that hold the picture."""

    name: str
    train: int
    valid: int
    test: int
    faces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """A published share of right answers, beside ours: in words, and where it stands."""

    share: str
    year: int
    source: str


@dataclass(frozen=True, slots=True)
class StageReport:
    """A stage with its table and curves."""

    done: StageDone
    charts: tuple[Chart, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What the report shows.

    Attributes:
        hidden_classes: of how many classes no picture is shown.
        matrix: rows of the confusion matrix; empty where it would be too large for paper.
        more_pairs: further pairs of classes that are confused.
        worst: test pictures that it was most wrong about, each with its picture.
        hidden_lines: of how many classes the table has no line.
        hashes, versions, measured: (label, words).
    """

    facts: RunFacts
    summary: Summary
    references: tuple[Reference, ...]
    classes: tuple[ClassFaces, ...]
    hidden_classes: int
    settings: tuple[Section, ...]
    stages: tuple[StageReport, ...]
    matrix: Sequence[matrix_view.Row]
    matrix_size: str
    legend: Sequence[tuple[int, str]]
    pairs: Sequence[Confusion]
    more_pairs: int
    worst: Sequence[tuple[AnsweredImage, str]]
    lines: Sequence[ClassRow]
    hidden_lines: int
    machine: Sequence[tuple[str, str]]
    hashes: Sequence[tuple[str, str]]
    versions: Sequence[tuple[str, str]]


def report(session: Session, storage: Storage, facts: RunFacts) -> Report:
    """All that the report shows. Pictures are read as they are kept, and none is decoded.

    Raises:
        NothingTested: the model wasn't tried on any picture.
    """
    results = results_of(session, RunId(facts.run.id), CheckpointId(facts.checkpoint.id))
    summary = service.summary(session, results)
    pairs = service.confused_pairs(session, results, min_count=1)
    colours = matrix_view.Colours(summary.matrix, matrix_view.Numbers.COUNTS)
    order = matrix_view.ordered(results.classes, summary.matrix, matrix_view.Order.NAME)
    worst = service.images(session, results, Filter(wrong=True), limit=WORST)[0]
    classes = _classes(session, storage, facts)
    lines = class_table(
        summary.per_class, SortBy.RECALL if len(results.classes) > _CLASSES else SortBy.NAME, down=False
    )
    steps = RunRepository(session).curve(facts.run.id)
    return Report(
        facts=facts,
        summary=summary,
        references=_references(facts),
        classes=classes[:_CLASSES],
        hidden_classes=max(0, len(classes) - _CLASSES),
        settings=settings_in_words(facts.run.config, facts.run.rates_found),
        stages=tuple(StageReport(done, _charts(done, steps)) for done in facts.stages),
        matrix=_matrix(results.classes, summary, order, colours),
        matrix_size=matrix_view.cell_size(len(results.classes)),
        legend=colours.legend,
        pairs=pairs[:PAIRS],
        more_pairs=max(0, len(pairs) - PAIRS),
        worst=[(answer, _picture(storage, answer.digest)) for answer in worst],
        lines=lines[:_CLASSES],
        hidden_lines=max(0, len(lines) - _CLASSES),
        machine=machine_of(session, facts.run).facts,
        hashes=_hashes(facts),
        versions=_versions(),
    )


def _charts(done: StageDone, steps: Sequence[Mapping[str, Json]]) -> tuple[Chart, ...]:
    # A rate that was to be found and isn't written down can't be drawn.
    return (loss_chart(done, steps), *(() if done.stage.max_lr == "find" else (rate_chart(done),)))


def _references(facts: RunFacts) -> tuple[Reference, ...]:
    found = facts.sample.references if facts.sample else ()
    return tuple(Reference(f"{100 * (1 - one.error_rate):.3g} %", one.year, one.source) for one in found)


def _classes(session: Session, storage: Storage, facts: RunFacts) -> tuple[ClassFaces, ...]:
    each = max(1, min(_FACES_EACH, FACES // len(facts.classes)))
    faces = faces_of(session, facts.version.id, each)
    found = []
    for place, name in enumerate(sorted(facts.classes, key=lambda one: (one.casefold(), one))):
        counts = facts.version.counts.get(name, {})
        # Beyond the first so many classes there is no room for pictures.
        shown = faces.get(name, []) if place < FACES else []
        pictures = tuple(filter(None, (_picture(storage, digest) for digest in shown)))
        train, valid, test = (int(counts.get(side, 0)) for side in ("train", "valid", "test"))
        found.append(ClassFaces(name, train, valid, test, pictures))
    return tuple(found)


def _picture(storage: Storage, digest: Digest) -> str:
    """The picture's small copy as an address that holds it; empty where there is none."""
    content = kept_thumbnail(storage, digest, min(SIZES))
    return (
        "" if content is None else f"data:{media_type_of(content)};base64,{base64.b64encode(content).decode('ascii')}"
    )


def _matrix(
    classes: Sequence[str], summary: Summary, order: Sequence[int], colours: matrix_view.Colours
) -> Sequence[matrix_view.Row]:
    if len(classes) > matrix_view.LARGEST_TABLE:
        return []
    return matrix_view.rows(classes, summary.matrix, order, matrix_view.Numbers.COUNTS, colours)


def _hashes(facts: RunFacts) -> tuple[tuple[str, str], ...]:
    known = [
        ("Training", facts.run.id),
        ("Model", facts.checkpoint.id),
        ("Version of the pictures", facts.version.id),
        ("SHA-256 of model.safetensors", facts.checkpoint.sha256),
        ("SHA-256 of model.onnx", str(facts.written.get("onnx_sha256", ""))),
    ]
    return tuple((label, words) for label, words in known if words)


def _versions() -> tuple[tuple[str, str], ...]:
    known = [("Tellapart", program_version()), ("Python", platform.python_version())]
    return (*known, *((name, found) for name in _LIBRARIES if (found := _installed(name))))


def _installed(name: str) -> str:
    try:
        return installed_version(name)
    except PackageNotFoundError:
        return ""


@dataclass(frozen=True, slots=True)
class Style:
    """The report's stylesheet as an element, and the policy that lets it, and nothing else, through."""

    element: Markup
    policy: str


@cache
def style() -> Style:
    """The stylesheet stands in the file itself: the report is one file, wherever it is opened."""
    css = (FRONTEND / "report" / "report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode("ascii")
    # A browser then refuses scripts, frames, forms and anything from elsewhere, also in a copy that was mailed.
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    return Style(Markup("<style>{}</style>").format(Markup(css)), policy)


def reported_words(summary: Summary) -> tuple[str, str]:
    """The share of right answers and its interval, as pages word them."""
    words = proportion_words(summary.images - summary.errors, summary.images)
    return words.share, words.interval


_SPLITS: Final = {"random": "chance", "folder": "the folders that the pictures came in", "csv": "a column of a table"}


def context(found: Report, address: str) -> dict[str, Any]:  # Any: the template's context
    """What the template needs; ``address`` is where the training's page is."""
    share, interval = reported_words(found.summary)
    return {
        "report": found,
        "facts": found.facts,
        "run": found.facts.run,
        "share": share,
        "interval": interval,
        "address": address,
        "has_test": any(one.test for one in found.classes),
        "split_words": _SPLITS.get(str(found.facts.version.split.get("kind")), "a rule of its own"),
        "style": style().element,
        "policy": style().policy,
    }
