"""One sentence for each field of the train form that can't be used: its label, and what it accepts."""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from backend.domain.errors import InvalidInput
from backend.domain.training import TrainingRequest
from backend.fields.problems import Path, in_quotes, problems
from backend.training.form.fields import CHANGES, PRESET, STAGE_FIELDS, START, Field, run_fields

_FIELDS: Final = {field.name: field for field in (PRESET, START, *run_fields(), *CHANGES)}
_STAGE_FIELDS: Final = {field.name: field for field in STAGE_FIELDS}
_FIELD_OF: Final = {"train_batch_norm": "bn", "max_lr": "high", "adam_betas": "adam_beta", "augmentation": "min_zoom"}
"""Names of fields that differ from the settings' names."""
NOT_JSON: Final = "These settings aren't JSON: they have to begin with { and end with }."


class FormUnusable(InvalidInput):
    """Fields of the train form have values that can't be used; ``sentences``: by the field's name."""

    code = "training-form-unusable"

    def __init__(self, sentences: Mapping[str, str]) -> None:
        self.sentences = dict(sentences)
        super().__init__(
            " ".join(dict.fromkeys(sentences.values())),
            advice="Correct it, or empty the field to take the preset's value.",
            details={"fields": dict(sentences)},
        )


def unusable(error: ValidationError) -> FormUnusable:
    """What pydantic found wrong with settings, field by field."""
    found = problems(error.errors(), TrainingRequest, _label, _words)
    return FormUnusable({_name(problem.path): problem.sentence for problem in found})


def _name(path: Path) -> str:
    """The name of the form's field; that of the settings as JSON where there is none."""
    match path:
        case ("stages", int(row), str(name), *_):
            field = _FIELD_OF.get(name, name)
            return f"stage_{field}_{row}" if field in _STAGE_FIELDS else "json"
        case ("augmentation", str(name), *_) if name in _FIELDS:
            return name
        case (str(name), *_):
            field = _FIELD_OF.get(name, name)
            return field if field in _FIELDS else "json"
        case _:
            return "json"


def _field(path: Path) -> Field | None:
    name = _name(path)
    if name.startswith("stage_"):
        return _STAGE_FIELDS[name.removeprefix("stage_").rpartition("_")[0]]
    return _FIELDS.get(name)


def _label(path: Path) -> str:
    field = _field(path)
    if field is None:
        return in_quotes(path)
    return f"Stage {int(path[1]) + 1}: {field.label}" if path[0] == "stages" else field.label


def _words(path: Path) -> str | None:
    """What a field accepts where that is said better than by its type: the words of its choices."""
    field = _field(path)
    if field is None or (not field.options and not field.accepts):
        return None
    return field.accepts or f"one of: {', '.join(words for _, words in field.options)}"
