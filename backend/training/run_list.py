"""The list of runs: each with its result, its time, and what was changed against the run before it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy.orm import Session

from backend.domain.catalogue import architecture_of
from backend.domain.json import Json
from backend.domain.results import rank_of
from backend.domain.training import RunStatus
from backend.training.repository import RunRecord, RunRepository
from backend.training.run_page.settings import settings_in_words
from backend.training.run_view import RunView, list_runs, states_of

RUNS_A_PAGE: Final = 30
_MOST_SORTED: Final = 500
"""So many of the newest runs are put in another order; what is older is left out and said to be."""
_CHANGES_SHOWN: Final = 3


class RunOrder(StrEnum):
    """In which order runs are listed."""

    NEWEST = "newest"
    BEST = "error"
    QUICKEST = "time"


@dataclass(frozen=True, slots=True)
class Result:
    """The fewest errors that a stage of a run made: ``errors`` of ``images`` test pictures."""

    errors: int
    images: int


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in the list.

    Attributes:
        result: of its best stage; None before there is one.
        seconds: that it took; None before its end.
        changes: what differs from the run before it on its dataset, in words; None for the first one.
        more_changes: how many more things differ.
    """

    run: RunView
    model: str
    result: Result | None
    seconds: float | None
    changes: tuple[str, ...] | None
    more_changes: int


@dataclass(frozen=True, slots=True)
class RunList:
    """A page of the list.

    Attributes:
        next: id after which the next page begins; None on the last one.
        is_cut: whether older runs were left out of the order.
    """

    lines: tuple[RunLine, ...]
    next: str | None
    is_cut: bool


def run_list(
    session: Session, *, order: RunOrder, dataset_id: str | None, status: RunStatus | None, after: str | None
) -> RunList:
    """Runs of one dataset or status, where that is named, in an order; the newest are read page by page."""
    limit = RUNS_A_PAGE if order is RunOrder.NEWEST else _MOST_SORTED
    after = after if order is RunOrder.NEWEST else None
    found = list_runs(session, limit=limit + 1, after=after, dataset_id=dataset_id, states=states_of(status))
    shown, has_more = found[:limit], len(found) > limit
    before = RunRepository(session).before([run.id for run in shown])
    lines = [_line(run, before.get(run.id)) for run in shown]
    if order is not RunOrder.NEWEST:
        return RunList(tuple(sorted(lines, key=_SORT_KEYS[order])), None, has_more)
    return RunList(tuple(lines), shown[-1].id if has_more else None, False)


def _line(run: RunView, before: RunRecord | None) -> RunLine:
    changes = None if before is None else list(_changes(run, before))
    return RunLine(
        run=run,
        model=architecture_of(run.config).title,
        result=_best(run),
        seconds=(run.ended_at - run.started_at).total_seconds() if run.ended_at and run.started_at else None,
        changes=None if changes is None else tuple(changes[:_CHANGES_SHOWN]),
        more_changes=max(0, len(changes or ()) - _CHANGES_SHOWN),
    )


def _best(run: RunView) -> Result | None:
    valid = [row.metrics["valid"] for row in run.checkpoints]
    best = min(valid, key=rank_of, default=None)
    return None if best is None else Result(best["errors"], best["images"])


def _error_rate(line: RunLine) -> tuple[float, bool]:
    """What has no result comes last."""
    return (line.result.errors / line.result.images, False) if line.result else (1.0, True)


_SORT_KEYS: Final[Mapping[RunOrder, Any]] = {  # Any: a key that sorts
    RunOrder.BEST: _error_rate,
    RunOrder.QUICKEST: lambda line: (line.seconds is None, line.seconds or 0.0),
}


def _changes(run: RunView, before: RunRecord) -> Iterator[str]:
    """What a person changed between two runs: version, starting point, settings."""
    if run.version_number != before.version_number:
        yield f"version {before.version_number} → {run.version_number}"
    if run.starts_from is not None and run.starts_from != before.run.starts_from:
        yield "continues an earlier model"
    elif run.starts_from is None and before.run.starts_from is not None:
        yield "starts from pretrained weights"
    now, then = _settings(run.config), _settings(before.run.config)
    for label in dict.fromkeys([*now, *then]):
        old, new = then.get(label, "none"), now.get(label, "none")
        if old != new:
            yield f"{label}: {old} → {new}"


def _settings(config: Mapping[str, Json]) -> dict[str, str]:
    stages: Sequence[Json] = config["stages"]
    sections = settings_in_words(config, [None] * len(stages))
    return {
        f"{section.title}, {label}" if section.title.startswith("Stage") else label: value
        for section in sections
        for label, value in section.rows
    }
