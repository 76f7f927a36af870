"""From a training's settings back to the fields of the train form; what the preset says by itself is left empty."""

from collections.abc import Iterable, Mapping
from typing import Any

from backend.domain.json import Json
from backend.domain.training import Stage, StageRequest, TrainingConfig, TrainingRequest, resolve
from backend.training.form.fields import CHANGES, run_fields
from backend.training.form.presets import Preset, preset_like


def fields_of(config: Mapping[str, Json], preset: Preset | None = None) -> dict[str, str]:
    """A run's config as the form's fields; without a ``preset`` it is the one that the config stands for."""
    whole = TrainingConfig.model_validate(config)
    preset = preset or preset_like(whole)
    usual = preset.config()
    fields = {"recipe": preset.name}
    if whole.architecture != usual.architecture:
        fields["architecture" if whole.network is None else "network"] = whole.architecture
        usual = preset.config(whole.architecture)
    fields |= _differing([field.name for field in run_fields()], _run_values(whole), _run_values(usual))
    fields |= _differing(
        [field.name for field in CHANGES], whole.augmentation.model_dump(), usual.augmentation.model_dump()
    )
    # Stages that were planned are planned again, for the pictures and the machine of then.
    is_planned = whole.minutes is not None and preset.request.is_planned
    return fields if is_planned or whole.stages == usual.stages else fields | _stage_fields(whole, preset)


def shown_values(config: TrainingConfig) -> dict[str, str]:
    """What each field stands for where it is empty, by the field's name; stages as ``stage_epochs_0``."""
    values = {name: _text(value) for name, value in (_run_values(config) | config.augmentation.model_dump()).items()}
    for row, stage in enumerate(config.stages):
        values |= {f"stage_{name}_{row}": _text(value) for name, value in _stage_values(stage).items()}
    return values


def changed_fields(config: TrainingConfig, usual: TrainingConfig) -> frozenset[str]:
    """Names of the fields whose value isn't the preset's; of a stage that the preset lacks, all."""
    values, plain = shown_values(config), shown_values(usual)
    return frozenset(name for name, value in values.items() if value != plain.get(name))


def _stage_fields(config: TrainingConfig, preset: Preset) -> dict[str, str]:
    """The rows of stages that aren't the preset's; of each, what says what it is, and what differs."""
    fields = {"stage_count": str(len(config.stages))}
    asked = tuple(
        StageRequest.model_validate(preset.stage(row, {"freeze": stage.freeze}))
        for row, stage in enumerate(config.stages)
    )
    usual = resolve(TrainingRequest(recipe=config.recipe, stages=asked)).stages
    for row, (stage, base) in enumerate(zip(config.stages, usual, strict=True)):
        values, plain = _stage_values(stage), _stage_values(base)
        for name, value in values.items():
            if name in ("freeze", "epochs", "low", "high") or value != plain[name]:
                fields[f"stage_{name}_{row}"] = _text(value)
    return fields


def _stage_values(stage: Stage) -> dict[str, Any]:  # Any: numbers, booleans or None
    values = stage.model_dump()
    max_lr = values.pop("max_lr")
    values["low"], values["high"] = max_lr if isinstance(max_lr, tuple | list) else (None, max_lr)
    values["bn"] = values.pop("train_batch_norm")
    return values


def _run_values(config: TrainingConfig) -> dict[str, Json]:
    """The config's own values by the names of the fields."""
    values = config.model_dump(mode="json", exclude={"stages", "augmentation", "recipe", "adam_betas", "network"})
    beside = {"network": config.architecture if config.network else None, "adam_beta": config.adam_betas[1]}
    # Not a part of what runs: each training is asked anew.
    return values | beside | {"devices": "auto"}


def _differing(names: Iterable[str], values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(values[name]) for name in names if values[name] != usual[name]}


def _text(value: Any) -> str:  # Any: numbers, booleans, words or None
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.12g}".replace("e-0", "e-") if isinstance(value, float) else str(value)
