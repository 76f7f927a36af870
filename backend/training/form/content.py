"""What the train page shows: cards, the drawer with every number, where it can begin, how long it takes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy.orm import Session

from backend.datasets.errors import VersionNotFound
from backend.domain.architectures import ARCHITECTURES, PretrainedWeights, WeightSource
from backend.domain.errors import AppError
from backend.domain.ids import CheckpointId, RunId, VersionId
from backend.domain.training import StageRequest, TrainingConfig, TrainingRequest, resolve
from backend.tables.datasets import VersionRow
from backend.training.find import find_checkpoint, find_run
from backend.training.forecast.durations import range_words
from backend.training.forecast.forecast import Forecast, Forecaster
from backend.training.forecast.sentences import forecast_sentences
from backend.training.forecast.work import Counts
from backend.training.form import fields as train_fields
from backend.training.form.form import (
    STAGE_ROWS,
    FormUnusable,
    fields_of,
    fields_of_json,
    request_of,
    run_id_of,
    shown_values,
    with_stage_added,
    with_stage_removed,
)
from backend.training.form.presets import (
    A_HANDFUL,
    CARDS,
    CUSTOM,
    QUICK_LOOK,
    RECOMMENDED,
    Preset,
    card_named,
    first_card,
)
from backend.training.form.schedule import schedule_of
from backend.training.lineage_repository import LineageRepository, Origin
from backend.training.repository import RunRepository
from backend.training.start import Plan, RunOrder, plan
from backend.weights import at_hand

_MOST_TO_START_FROM: Final = 50
_ADD: Final = "add-stage"
_REMOVE: Final = "remove-stage-"
_BATCH: Final = "batch-"
_USE: Final = "use-"
_KEPT: Final = ("starts_from", "run_id")
"""What the person has chosen beside the settings."""


@dataclass(frozen=True, slots=True)
class OfferedCard:
    """A card as it would run on this version; ``time`` is empty where nothing is known."""

    card: Preset
    plan: Plan
    forecast: Forecast
    time: str


@dataclass(frozen=True, slots=True)
class StartModel:
    """A model that a training can begin with."""

    id: str
    text: str


def order_of(version_id: str, form: Mapping[str, str], asked_by: str | None = None) -> RunOrder:
    """The training that a form asks for.

    Raises:
        FormUnusable
    """
    run_id, starts_from = run_id_of(form), form.get("starts_from", "").strip()
    return RunOrder(
        VersionId(version_id),
        request_of(form),
        starts_from=CheckpointId(starts_from) if starts_from else None,
        run_id=RunId(run_id) if run_id else None,
        asked_by=asked_by,
    )


def fields_after(session: Session, form: Mapping[str, str]) -> dict[str, str] | None:
    """The form's fields after what a button in it does (``do``); None where it is to be sent.

    Raises:
        FormUnusable, RunNotFound
    """
    done = _done(session, form, form.get("do", ""))
    return None if done is None else done | {name: form[name] for name in _KEPT if form.get(name)}


def _done(session: Session, form: Mapping[str, str], do: str) -> dict[str, str] | None:
    if do == _ADD:
        return with_stage_added(form)
    if do.startswith(_REMOVE) and do.removeprefix(_REMOVE).isdigit():
        return with_stage_removed(form, int(do.removeprefix(_REMOVE)))
    if do.startswith(_BATCH) and do.removeprefix(_BATCH).isdigit():
        return _as_filled_in(form) | {"batch_size": do.removeprefix(_BATCH)}
    if do.startswith(_USE) and do.removeprefix(_USE) in ARCHITECTURES:
        return _as_filled_in(form) | {"architecture": do.removeprefix(_USE), "weights": ""}
    match do:
        case "show":
            return _as_filled_in(form)
        case "back":
            return {"recipe": form.get("recipe", "")}
        case "json":
            return fields_of_json(form.get("json", ""))
        case "again":
            return fields_of(find_run(session, form.get("again", "")).config)
        case _:
            return None


def _as_filled_in(form: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in form.items() if name not in ("do", "csrf_token")}


def fields_from(session: Session, checkpoint_id: str) -> dict[str, str]:
    """The form's fields to go on from a model: its run's settings with the stage that comes next.

    That is the stage that followed in that run, else one in which everything learns, at the course's careful rates.

    Raises:
        CheckpointNotFound
    """
    checkpoint = find_checkpoint(session, checkpoint_id)
    config = TrainingConfig.model_validate(find_run(session, checkpoint.run_id).config)
    following = config.stages[checkpoint.stage + 1 :]
    if not following:
        following = resolve(TrainingRequest(recipe=config.recipe, stages=(StageRequest(freeze=False),))).stages
    stages = following[:STAGE_ROWS]
    return fields_of(config.model_copy(update={"stages": stages}).model_dump(mode="json")) | {
        "starts_from": checkpoint_id,
        "stage_count": str(len(stages)),
    }


def first_fields(session: Session, version_id: str) -> dict[str, str]:
    """The form's fields where nothing was chosen yet.

    Raises:
        VersionNotFound
    """
    return {"recipe": first_card(_pictures(_version(session, version_id))).name}


def chooser(
    session: Session, version_id: str, fields: Mapping[str, str], weights_folder: Path, error: AppError | None = None
) -> dict[str, Any]:  # Any: the template's context
    """The page's content.

    Raises:
        AppError: the version is unknown or can't be trained on.
    """
    version = _version(session, version_id)
    chosen = settings(session, version_id, fields, weights_folder, error)
    cards = [
        _offered(session, version_id, card, weights_folder)
        for card in CARDS
        if card is not CUSTOM or chosen["card"] is CUSTOM
    ]
    is_handful = _pictures(version) < A_HANDFUL
    beside = [(offered.card.title, offered.forecast) for offered in cards]
    return {
        "version": version,
        "outlook": forecast_sentences(
            Forecaster(session, version.counts, version.id), chosen["plan"].config, chosen["forecast"], beside
        ),
        "cards": [offered for offered in cards if not is_handful or offered.card is QUICK_LOOK],
        "other_cards": [offered for offered in cards if is_handful and offered.card is not QUICK_LOOK],
        "pictures": _pictures(version),
        "error": error,
        "models": [
            _start_model(origin)
            for origin in LineageRepository(session).models_of_dataset(version.dataset_id, _MOST_TO_START_FROM)
        ],
        "past_runs": LineageRepository(session).runs_of_dataset(version.dataset_id, _MOST_TO_START_FROM),
        **chosen,
    }


def settings(
    session: Session, version_id: str, fields: Mapping[str, str], weights_folder: Path, error: AppError | None = None
) -> dict[str, Any]:  # Any: the template's context
    """The training that the fields ask for as it would run, and the drawer with its numbers."""
    order = _order_or_recipe(session, version_id, fields)
    planned, known = _planned(session, order, weights_folder)
    config = planned.config
    card = card_named(fields.get("recipe", "")) or RECOMMENDED
    usual = card.config(config.architecture if order.starts_from else None)
    here = {entry.name: at_hand(entry.weights[0], weights_folder) for entry in ARCHITECTURES.values()}
    groups = ARCHITECTURES[config.architecture].layer_groups
    return {
        "fields": fields,
        "plan": planned,
        "forecast": known,
        "time": time_words(known),
        "card": card,
        "own_of": card.title if config != usual else "",
        "architectures": ARCHITECTURES,
        "at_hand": here,
        "missing": _missing_weights(config, weights_folder) if order.starts_from is None else None,
        "instead": next((ARCHITECTURES[name] for name, is_here in here.items() if is_here), None),
        "stages_in_words": stages_in_words,
        "field_groups": train_fields.GROUPS,
        "stage_head": train_fields.STAGE_HEAD,
        "stage_more": train_fields.STAGE_MORE,
        "changes": train_fields.CHANGES,
        "first_fields": (train_fields.ARCHITECTURE, train_fields.WEIGHTS),
        "shown": shown_values(config),
        "wrong": error.details.get("fields", {}) if isinstance(error, FormUnusable) else {},
        "schedules": [schedule_of(stage, groups) for stage in config.stages],
        "can_add": len(config.stages) < STAGE_ROWS,
        "config_json": json.dumps(config.model_dump(mode="json"), indent=2, ensure_ascii=False),
    }


def stages_in_words(config: TrainingConfig) -> str:
    """``4 epochs of the head, then 2 of everything``."""
    parts = []
    for place, stage in enumerate(config.stages):
        epochs = f"{stage.epochs} epoch{'' if stage.epochs == 1 else 's'}" if place == 0 else str(stage.epochs)
        parts.append(f"{epochs} of {'the head' if stage.freeze else 'everything'}")
    return ", then ".join(parts)


def time_words(known: Forecast) -> str:
    """The forecast in words; empty where nothing is known."""
    if known.seconds_low is None or known.seconds_high is None:
        return ""
    return range_words(known.seconds_low, known.seconds_high)


def _order_or_recipe(session: Session, version_id: str, fields: Mapping[str, str]) -> RunOrder:
    """What the fields ask for; where they can't be used, at least what their recipe would be."""
    try:
        order = order_of(version_id, fields)
        plan(session, order, Path())
    except AppError:
        card = card_named(fields.get("recipe", "")) or RECOMMENDED
        return RunOrder(VersionId(version_id), card.request)
    return order


def _planned(session: Session, order: RunOrder, weights_folder: Path) -> tuple[Plan, Forecast]:
    planned = plan(session, order, weights_folder)
    return planned, planned.forecast


def _offered(session: Session, version_id: str, card: Preset, weights_folder: Path) -> OfferedCard:
    planned, known = _planned(session, RunOrder(VersionId(version_id), card.request), weights_folder)
    return OfferedCard(card, planned, known, time_words(known))


def _version(session: Session, version_id: str) -> VersionRow:
    version = RunRepository(session).version(VersionId(version_id))
    if version is None:
        raise VersionNotFound
    return version


def _pictures(version: VersionRow) -> int:
    return Counts.of(version.counts).whole


def _missing_weights(config: TrainingConfig, folder: Path) -> PretrainedWeights | None:
    """The file that has to be fetched, or put there by hand, before it can start; None where all is there."""
    weights = next(one for one in ARCHITECTURES[config.architecture].weights if one.name == config.weights)
    return None if at_hand(weights, folder) or weights.source is WeightSource.PACKAGE else weights


def _start_model(origin: Origin) -> StartModel:
    row = origin.checkpoint
    error = f"{row.metrics['valid']['error_rate']:.1%}".replace("%", " %")
    title = ARCHITECTURES[row.architecture].title
    return StartModel(row.id, f"{origin.run.name}, stage {row.stage + 1}: {title}, error {error}")
