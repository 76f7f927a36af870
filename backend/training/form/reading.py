"""From the fields of the train form to a training request. An empty field takes its preset's value.

The stages are rows of fields; ``stage_count`` says how many there are, and
``stage_count_of`` for which preset.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from backend.domain.training import LearningRate, StageRequest, TrainingRequest, resolve
from backend.training.form.fields import CHANGES, STAGE_FIELDS, STAGE_HEAD, run_fields
from backend.training.form.presets import Preset, preset_named
from backend.training.form.problems import FormUnusable, unusable

STAGE_ROWS: Final = 5
_ADAM_BETA: Final = 0.9
"""Adam's first number is overridden by the stage's momentum, whatever it is."""
_RATE: Final[TypeAdapter[float]] = TypeAdapter(LearningRate)
_DECIMAL_COMMA: Final = re.compile(r"-?\d+,\d+")

Fields = Mapping[str, str]


def request_of(fields: Fields) -> TrainingRequest:
    """The training that a form asks for.

    Raises:
        FormUnusable: with a sentence for each field that can't be used.
    """
    preset = preset_of(fields)
    problems = _rate_problems(fields)
    usable = {name: text for name, text in fields.items() if name not in problems}
    try:
        request = checked(_content(usable, preset))
    except FormUnusable as refusal:
        raise FormUnusable(problems | refusal.sentences) from refusal
    if problems:
        raise FormUnusable(problems)
    return request


def _content(fields: Fields, preset: Preset) -> dict[str, Any]:  # Any: checked by pydantic
    """The settings as they are typed, by the request's names."""
    content = preset.request.model_dump(exclude_unset=True, exclude_none=True)
    content |= {field.name: text for field in run_fields() if (text := given(fields, field.name))}
    if network := content.pop("network", ""):
        content["architecture"] = network
    if (network or given(fields, "architecture")) and not given(fields, "weights"):
        content.pop("weights", None)
    if "adam_beta" in content:
        content["adam_betas"] = (_ADAM_BETA, content.pop("adam_beta"))
    if stages := _stages(fields, preset):
        content["stages"] = stages
    if stages or not preset.request.is_planned:
        # Only stages that are planned can keep to a time.
        content.pop("minutes", None)
    if changed := {field.name: text for field in CHANGES if (text := given(fields, field.name))}:
        content["augmentation"] = changed
    return content


def preset_of(fields: Fields) -> Preset:
    """The preset that is chosen; the recommended one where none is.

    Raises:
        FormUnusable: there is no such preset.
    """
    preset = preset_named(given(fields, "recipe"))
    if preset is None:
        raise FormUnusable({"recipe": "Choose one of the ways to train that are shown."})
    return preset


def checked(content: object) -> TrainingRequest:
    """Settings that were typed or pasted, as a request.

    Raises:
        FormUnusable
    """
    try:
        return TrainingRequest.model_validate(content)
    except ValidationError as error:
        raise unusable(error) from error


def given(fields: Fields, name: str) -> str:
    """What is filled in; a decimal comma counts as a point."""
    text = fields.get(name, "").strip()
    return text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text


def _stages(fields: Fields, preset: Preset) -> list[dict[str, Any]] | None:  # Any: checked by pydantic
    """The rows, where one is filled in or their number isn't the preset's."""
    rows = [_row(fields, row) for row in range(STAGE_ROWS)]
    # The number is of the preset that the drawer was shown for: another one that was chosen since has its own.
    is_of_preset = given(fields, "stage_count_of") in ("", preset.name)
    count = given(fields, "stage_count") if is_of_preset else ""
    if count.isascii() and count.isdigit():
        wanted = min(max(1, int(count)), STAGE_ROWS)
        is_usual = preset.request.is_planned or wanted == len(preset.config().stages)
        if is_usual and not any(rows[:wanted]):
            return None
        filled = rows[:wanted]
    else:
        filled = [row for row in rows if row]
    return [_stage(preset, number, row) for number, row in enumerate(filled)] or None


def _rate_problems(fields: Fields) -> dict[str, str]:
    """Sentences for rates that can't be used. The first and the last layers' are one setting, but two fields."""
    found = {}
    for row in range(STAGE_ROWS):
        for field in STAGE_HEAD:
            name = f"stage_{field.name}_{row}"
            text = given(fields, name) if field.name in ("low", "high") else ""
            if text and not (field.name == "high" and text.lower() == "find") and not _is_rate(text):
                found[name] = f"Stage {row + 1}: {field.label} must be {field.accepts}."
    return found


def _is_rate(text: str) -> bool:
    try:
        _RATE.validate_python(text)
    except ValidationError:
        return False
    return True


def _row(fields: Fields, row: int) -> dict[str, str]:
    """What is filled in of a stage, by the fields' names."""
    return {field.name: text for field in STAGE_FIELDS if (text := given(fields, f"stage_{field.name}_{row}"))}


def _stage(preset: Preset, number: int, typed: Mapping[str, str]) -> dict[str, Any]:  # Any: checked by pydantic
    rest = dict(typed)
    low, high = rest.pop("low", ""), rest.pop("high", "")
    stage = preset.stage(number, {("train_batch_norm" if name == "bn" else name): text for name, text in rest.items()})
    if high.lower() == "find":
        stage["max_lr"] = "find"
    elif low:
        stage["max_lr"] = [low, high or _usual_high(preset, number, rest.get("freeze", ""))]
    elif high:
        stage["max_lr"] = high
    return stage


def _usual_high(preset: Preset, number: int, freeze: str) -> float:
    """The rate of the last layers in such a stage, where only that of the first layers was typed."""
    typed = {"freeze": freeze} if freeze in ("true", "false") else {}
    stage = StageRequest.model_validate(preset.stage(number, typed))
    before = tuple(StageRequest() for _ in range(number))
    peak = resolve(TrainingRequest(recipe=preset.request.recipe, stages=(*before, stage))).stages[number].peak
    return peak[-1] if isinstance(peak, tuple) else peak
