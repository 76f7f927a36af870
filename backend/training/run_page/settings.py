"""The settings of a run as people read them: the same labels and words as in the form."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.domain.training import TrainingConfig
from backend.training.form import fields as train_fields
from backend.training.form.fields import Field
from backend.training.form.presets import CUSTOM, preset_like
from backend.training.form.writing import shown_values
from backend.training.run_page.log import rate_words


@dataclass(frozen=True, slots=True)
class Section:
    """Some settings under a title: label and value in words."""

    title: str
    rows: tuple[tuple[str, str], ...]


def settings_in_words(config: Mapping[str, Any], rates_found: Sequence[Any]) -> tuple[Section, ...]:
    """Every number of a run; ``rates_found`` by stage, None where there was no search."""
    whole = TrainingConfig.model_validate(config)
    shown = shown_values(whole)
    begin = [("Preset", _preset(whole))]
    begin += [("Model", whole.entry.title), ("Pretrained weights", whole.weights)]
    begin += [("Licence of the weights", whole.entry.license)] if whole.entry.license else []
    stages = [_stage(row, shown, found) for row, found in enumerate(rates_found)]
    groups = [Section(group.title, _rows(group.fields, shown)) for group in train_fields.GROUPS]
    changes = Section("Random changes", _rows(train_fields.CHANGES, shown))
    return (Section("Model", tuple(begin)), *stages, changes, *groups)


def _preset(config: TrainingConfig) -> str:
    preset = preset_like(config)
    if preset.config() == config:
        return preset.title
    return "your own" if preset is CUSTOM else f"your own, based on “{preset.title}”"


def settings_as_json(config: Mapping[str, Any]) -> str:
    """The same to copy, as the form and the API take it."""
    return json.dumps(config, indent=2, ensure_ascii=False)


def _stage(row: int, shown: Mapping[str, str], found: Any) -> Section:  # Any: a rate, or two
    rows = _rows(train_fields.STAGE_FIELDS, {field: shown.get(f"stage_{field}_{row}", "") for field in _STAGE_NAMES})
    if found is not None:
        rows = (*rows, ("Rate that the search found", rate_words(found)))
    return Section(f"Stage {row + 1}", rows)


_STAGE_NAMES = [field.name for field in train_fields.STAGE_FIELDS]


def _rows(fields: Sequence[Field], shown: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((field.label, _words(field, shown[field.name])) for field in fields if shown.get(field.name))


def _words(field: Field, value: str) -> str:
    return dict(field.options).get(value, value)
