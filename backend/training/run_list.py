"""The list of runs: each with its result, its time, and what was changed against the run before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy.orm import Session

from backend.domain.catalogue import architecture_of
from backend.domain.results import rank_of
from backend.domain.training import RunStatus
from backend.training.differences import differences
from backend.training.repository import RunRecord, RunRepository
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
        bytes: that its models take on the disk; deleting it frees them.
    """

    run: RunView
    model: str
    result: Result | None
    seconds: float | None
    changes: tuple[str, ...] | None
    more_changes: int
    bytes: int


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
    changes = None if before is None else [difference.words for difference in differences(before, run)]
    return RunLine(
        run=run,
        model=architecture_of(run.config).title,
        result=best_result(run),
        seconds=(run.ended_at - run.started_at).total_seconds() if run.ended_at and run.started_at else None,
        changes=None if changes is None else tuple(changes[:_CHANGES_SHOWN]),
        more_changes=max(0, len(changes or ()) - _CHANGES_SHOWN),
        bytes=sum(row.bytes for row in run.checkpoints),
    )


def best_result(run: RunView) -> Result | None:
    """What the best stage of a run got wrong; None before there is one."""
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
