"""Between a search for a learning rate and the train form: what a button searches for, what "Use" fills in."""

import math
from collections.abc import Iterable, Mapping

from sqlalchemy.orm import Session

from backend.domain.ids import CheckpointId, VersionId
from backend.domain.json import Json
from backend.domain.lr_finder import max_lr_for, words
from backend.domain.training import TrainingConfig, TrainingRequest, resolve
from backend.training.find import find_checkpoint, find_run
from backend.training.forecast.durations import range_words
from backend.training.forecast.forecast import Forecaster
from backend.training.form.form import TrainForm
from backend.training.form.reading import STAGE_ROWS
from backend.training.form.writing import fields_of
from backend.training.lr_finds.service import FindView
from backend.training.repository import RunRepository
from backend.training.start import RunOrder

_HIGHEST, _LOWEST = 10.0, 1e-9


def order_from_checkpoint(session: Session, version_id: str, checkpoint_id: str) -> tuple[RunOrder, str]:
    """A search from a finished stage, for the one that follows in its run, else for one that trains all layers.

    Also returns the run's id.

    Raises:
        CheckpointNotFound
    """
    checkpoint = find_checkpoint(session, checkpoint_id)
    run = find_run(session, checkpoint.run_id)
    later = run.config["stages"][checkpoint.stage + 1 :]
    request = _request(run.config, later[0] if later else {"freeze": False})
    return RunOrder(VersionId(version_id), request, starts_from=CheckpointId(checkpoint_id)), run.id


def search_times(
    session: Session, version_id: str, config: Mapping[str, Json], stages: Iterable[int]
) -> dict[int, str]:
    """By stage of a finished run, how long a search from its model takes for the stage that follows; in words."""
    version = RunRepository(session).version(VersionId(version_id))
    forecaster = Forecaster(session, version.counts if version else {}, version_id)
    found = {}
    for stage in stages:
        later = config["stages"][stage + 1 :]
        searched = resolve(_request(config, later[0] if later else {"freeze": False}))
        found[stage] = search_time(forecaster, searched, is_fresh=False)
    return found


def search_time(forecaster: Forecaster, config: TrainingConfig, *, is_fresh: bool) -> str:
    """How long a search for the rate of the one stage of ``config`` takes, in words; empty where nothing is known."""
    found = forecaster.search(config, is_fresh=is_fresh)
    return range_words(*found.range()) if found else ""


def order_from_form(version_id: str, form: TrainForm, row: int) -> RunOrder:
    """A search for the stage in a row of the train form; where none is filled in, of the preset's.

    Raises:
        FormUnusable
        UnknownArchitecture, UnknownWeights
    """
    config = resolve(form.request())
    filled = [number for number in range(STAGE_ROWS) if _is_filled(form, number)]
    # Empty rows between filled ones are left out, unless the form says how many stages there are.
    is_gapless = row in filled and len(filled) == len(config.stages)
    stage = filled.index(row) if is_gapless else min(row, len(config.stages) - 1)
    content = config.model_dump(mode="json")
    return RunOrder(VersionId(version_id), _request(content, content["stages"][stage]), starts_from=form.starts_from)


def form_of_find(find: FindView, rate: str | None = None) -> TrainForm:
    """The train form with the rate that was found, or with ``rate`` of the same curve."""
    chosen = _rate(rate) or (find.result or {}).get("chosen")
    config = find.config
    if chosen is not None:
        stage = {**config["stages"][0], "max_lr": max_lr_for(chosen, freeze=find.freeze)}
        config = {**config, "stages": [stage]}
    fields = fields_of(_as_json(config))
    fields |= {name: words(float(value)) for name, value in fields.items() if _is_rate(name) and _rate(value)}
    return TrainForm(fields | ({"starts_from": find.starts_from} if find.starts_from else {}))


def _request(config: Mapping[str, Json], stage: Mapping[str, Json]) -> TrainingRequest:
    kept = {name: config[name] for name in TrainingRequest.model_fields if name in config}
    return TrainingRequest.model_validate({**kept, "stages": [{**stage, "max_lr": "find"}]})


def _is_filled(form: TrainForm, row: int) -> bool:
    named = (name for name, value in form.fields.items() if value.strip() and name.endswith(f"_{row}"))
    return any(name.startswith("stage_") for name in named)


def _is_rate(name: str) -> bool:
    return name.startswith(("stage_low_", "stage_high_"))


def _rate(text: str | None) -> float | None:
    """A rate that can be used; None for anything else."""
    try:
        rate = float((text or "").replace(",", "."))
    except ValueError:
        return None
    return rate if math.isfinite(rate) and _LOWEST <= rate <= _HIGHEST else None


def _as_json(config: Mapping[str, Json]) -> dict[str, Json]:
    stage = config["stages"][0]
    max_lr = list(stage["max_lr"]) if isinstance(stage["max_lr"], tuple) else stage["max_lr"]
    return {**config, "stages": [{**stage, "max_lr": max_lr}]}
