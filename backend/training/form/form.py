"""The form of the train page: what a person chose, as a training request, and back again.

An empty field takes the card's value. The stages are rows of fields; ``stage_count`` says
how many there are, and ``stage_count_of`` for which card.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from backend.domain.errors import InvalidInput
from backend.domain.json import Json
from backend.domain.training import Stage, StageRequest, TrainingConfig, TrainingRequest, resolve
from backend.training.form.fields import CHANGES, STAGE_FIELDS, run_fields
from backend.training.form.presets import RECOMMENDED, Preset, card_like, card_named

STAGE_ROWS: Final = 5
_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")
_ADAM_BETA: Final = 0.9
"""Adam's first number is overridden by the stage's momentum, whatever it is."""
_LABELS: Final = {field.name: field.label for field in (*run_fields(), *CHANGES)} | {
    "adam_betas": "Memory of the step sizes",
    "stages": "The number of stages",
}
_STAGE_LABELS: Final = {field.name: field.label for field in STAGE_FIELDS} | {
    "max_lr": "Learning rate",
    "train_batch_norm": "Batch norm of frozen layers",
}
_FIELD_OF: Final = {"train_batch_norm": "bn", "max_lr": "high", "adam_betas": "adam_beta"}
_OTHER_BRANCHES: Final = frozenset({"float_type", "tuple_type", "literal_error"})
"""What pydantic says of the forms of a rate that weren't meant."""
_LONGEST_JSON: Final = 20_000


class FormUnusable(InvalidInput):
    """Fields of the train form have values that can't be used; ``details`` has a sentence for each by its name."""

    code = "training-form-unusable"

    def __init__(self, sentences: Mapping[str, str]) -> None:
        super().__init__(
            " ".join(dict.fromkeys(sentences.values())),
            advice="Correct it, or empty the field to take the recipe's value.",
            details={"fields": dict(sentences)},
        )


def request_of(form: Mapping[str, str]) -> TrainingRequest:
    """The training that a form asks for; an empty field takes the recipe's value.

    Raises:
        FormUnusable: naming each field that can't be used.
    """
    content = card_of(form).request.model_dump(exclude_unset=True, exclude_none=True)
    content |= {field.name: text for field in run_fields() if (text := _given(form, field.name))}
    if _given(form, "architecture") and not _given(form, "weights"):
        content.pop("weights", None)
    if "adam_beta" in content:
        content["adam_betas"] = (_ADAM_BETA, content.pop("adam_beta"))
    if stages := _stages(form):
        content["stages"] = stages
    if changed := {field.name: text for field in CHANGES if (text := _given(form, field.name))}:
        content["augmentation"] = changed
    return _validated(content)


def card_of(form: Mapping[str, str]) -> Preset:
    """The card that is chosen; the recommended one where none is.

    Raises:
        FormUnusable: there is no such card.
    """
    name = _given(form, "recipe")
    card = card_named(name)
    if card is None:
        _validated({"recipe": name})
    return card or RECOMMENDED


def run_id_of(form: Mapping[str, str]) -> str | None:
    """The id that the form gave its run; None where it has none of ours."""
    given = form.get("run_id", "")
    return given if _RUN_ID.fullmatch(given) else None


def fields_of(config: Mapping[str, Json], card: Preset | None = None) -> dict[str, str]:
    """A run's config as the form's fields, to start again from it; what its card says by itself is left empty.

    Without a ``card`` it is the one that the config stands for.
    """
    whole = TrainingConfig.model_validate(config)
    card = card or card_like(whole)
    usual = card.config()
    fields = {"recipe": card.name}
    if whole.architecture != usual.architecture:
        fields["architecture"] = whole.architecture
        usual = card.config(whole.architecture)
    fields |= _differing([field.name for field in run_fields()], _shown(whole), _shown(usual))
    fields |= _differing(
        [field.name for field in CHANGES], whole.augmentation.model_dump(), usual.augmentation.model_dump()
    )
    return fields if whole.stages == usual.stages else fields | _stage_fields(whole, card)


def fields_of_json(text: str) -> dict[str, str]:
    """Settings that were pasted as JSON, as the form's fields.

    Raises:
        FormUnusable: no JSON, or none that we know.
    """
    try:
        content = json.loads(text[:_LONGEST_JSON])
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise FormUnusable({"json": "That isn't JSON: it has to begin with { and end with }."})
    request = _validated(content.get("config", content))
    return fields_of(resolve(request).model_dump(mode="json"))


def with_stage_added(form: Mapping[str, str]) -> dict[str, str]:
    """The form's fields with one more stage at the end: the one in which everything learns."""
    return _restaged(form, lambda stages: (*stages, StageRequest(freeze=False))[:STAGE_ROWS])


def with_stage_removed(form: Mapping[str, str], row: int) -> dict[str, str]:
    """The form's fields without the stage of a row; the last one stays."""
    return _restaged(form, lambda stages: (*stages[:row], *stages[row + 1 :]) or stages)


def shown_values(config: TrainingConfig) -> dict[str, str]:
    """What each field stands for where it is empty, by the field's name; stages as ``stage_epochs_0``."""
    values = {name: _text(value) for name, value in (_shown(config) | config.augmentation.model_dump()).items()}
    for row, stage in enumerate(config.stages):
        values |= {f"stage_{name}_{row}": _text(value) for name, value in _stage_values(stage).items()}
    return values


def _validated(content: Any) -> TrainingRequest:  # Any: checked here
    try:
        return TrainingRequest.model_validate(content)
    except ValidationError as error:
        problems = error.errors()
        meant = [problem for problem in problems if problem["type"] not in _OTHER_BRANCHES] or problems
        raise FormUnusable(dict(map(_complaint, meant))) from error


def _given(form: Mapping[str, str], name: str) -> str:
    return form.get(name, "").strip()


def _stages(form: Mapping[str, str]) -> list[dict[str, Any]] | None:  # Any: checked by pydantic
    """The rows, where one is filled in or their number isn't the card's."""
    rows = [_stage(form, row) for row in range(STAGE_ROWS)]
    card = card_of(form)
    # The number is of the card that the drawer was shown for: another card that was chosen since has its own.
    is_of_card = _given(form, "stage_count_of") in ("", card.name)
    count = _given(form, "stage_count") if is_of_card else ""
    if count.isascii() and count.isdigit():
        wanted = min(max(1, int(count)), STAGE_ROWS)
        if not any(rows[:wanted]) and wanted == len(card.config().stages):
            return None
        return [card.stage(row, typed) for row, typed in enumerate(rows[:wanted])]
    return [card.stage(row, typed) for row, typed in enumerate(row for row in rows if row)] or None


def _stage(form: Mapping[str, str], row: int) -> dict[str, Any]:  # Any: checked by pydantic
    given = {field.name: text for field in STAGE_FIELDS if (text := _given(form, f"stage_{field.name}_{row}"))}
    low, high = given.pop("low", ""), given.pop("high", "")
    stage: dict[str, Any] = {("train_batch_norm" if name == "bn" else name): text for name, text in given.items()}
    if high.lower() == "find":
        stage["max_lr"] = "find"
    elif high:
        stage["max_lr"] = [low, high] if low else high
    return stage


def _restaged(form: Mapping[str, str], change: Any) -> dict[str, str]:  # Any: from stages to stages
    request = request_of(form)
    stages = tuple(StageRequest.model_validate(stage.model_dump()) for stage in resolve(request).stages)
    config = resolve(request.model_copy(update={"stages": change(stages)}))
    return fields_of(config.model_dump(mode="json"), card_of(form)) | {"stage_count": str(len(config.stages))}


def _stage_fields(config: TrainingConfig, card: Preset) -> dict[str, str]:
    """The rows of stages that aren't the card's; of each, what says what it is, and what differs."""
    fields = {"stage_count": str(len(config.stages))}
    asked = tuple(
        StageRequest.model_validate(card.stage(row, {"freeze": stage.freeze}))
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


def _shown(config: TrainingConfig) -> dict[str, Json]:
    """The config's own values by the names of the fields."""
    values = config.model_dump(mode="json", exclude={"stages", "augmentation", "recipe", "adam_betas"})
    return values | {"adam_beta": config.adam_betas[1]}


def _differing(names: Iterable[str], values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(values[name]) for name in names if values[name] != usual[name]}


def _text(value: Any) -> str:  # Any: numbers, booleans, words or None
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.12g}".replace("e-0", "e-") if isinstance(value, float) else str(value)


def _complaint(problem: Any) -> tuple[str, str]:  # Any: pydantic's ErrorDetails
    """The field's name in the form, and a sentence about it."""
    location = [str(part) for part in problem["loc"]]
    is_of_stage = len(location) > 2 and location[0] == "stages"
    labels = _STAGE_LABELS if is_of_stage else _LABELS
    name = next((part for part in reversed(location) if part in labels), "")
    # Without its unit: “Picture size, pixels has to be” reads badly.
    label = labels.get(name, f"“{location[-1]}”" if location else "This").partition(",")[0]
    field = _FIELD_OF.get(name, name)
    if is_of_stage:
        return f"stage_{field}_{location[1]}", f"Stage {int(location[1]) + 1}: {label} {_accepted(problem, name)}"
    return field or "json", f"{label} {_accepted(problem, name)}"


def _accepted(problem: Any, name: str) -> str:  # Any: pydantic's ErrorDetails
    context = problem.get("ctx", {})
    match problem["type"]:
        case "greater_than_equal" | "greater_than":
            bound = context.get("ge", context.get("gt"))
            return f"has to be {'at least' if 'ge' in context else 'more than'} {bound:g}."
        case "less_than_equal" | "less_than":
            bound = context.get("le", context.get("lt"))
            return f"has to be {'at most' if 'le' in context else 'less than'} {bound:g}."
        case "extra_forbidden":
            return "isn't a setting that we know."
        case "enum":
            return f"has to be one of {context.get('expected', 'the choices')}."
        case "value_error":
            return "has its numbers the wrong way round: the smaller one comes first."
        case _:
            return "has to be a number, or the word find." if name == "max_lr" else "has to be a number."
