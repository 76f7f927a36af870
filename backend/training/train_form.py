"""The form of the train page: what a person chose, as a training request, and back again."""

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from backend.domain.errors import InvalidInput
from backend.domain.training import Augmentation, TrainingRequest

STAGE_ROWS: Final = 3
_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")
_NUMBERS: Final = ("image_size", "batch_size", "seed")
_STAGE_FIELDS: Final = ("freeze", "epochs", "low", "high", "bn")
_CHANGES: Final = ("max_rotate", "max_zoom", "max_lighting", "max_warp")
_WORDS: Final = {
    "image_size": "Picture size",
    "batch_size": "Batch size",
    "seed": "Seed",
    "epochs": "Epochs",
    "max_lr": "Learning rate",
    "max_rotate": "Turn",
    "max_zoom": "Zoom",
    "max_lighting": "Light",
    "max_warp": "Tilt",
}


class FormUnusable(InvalidInput):
    """A field of the train form has a value that can't be used."""

    code = "training-form-unusable"

    def __init__(self, sentences: list[str]) -> None:
        super().__init__(" ".join(sentences), advice="Correct it, or empty the field to take the recipe's value.")


def request_of(form: Mapping[str, str]) -> TrainingRequest:
    """The training that a form asks for; an empty field takes the recipe's value.

    Raises:
        FormUnusable: naming each field that can't be used.
    """
    content: dict[str, Any] = {"recipe": form.get("recipe") or "recommended"}  # Any: checked by pydantic
    content |= {name: form[name].strip() for name in (*_NUMBERS, "architecture") if form.get(name, "").strip()}
    if stages := [stage for row in range(STAGE_ROWS) if (stage := _stage(form, row))]:
        content["stages"] = stages
    if form.get("changes") and (changed := _augmentation(form)) != _defaults():
        content["augmentation"] = changed
    try:
        return TrainingRequest.model_validate(content)
    except ValidationError as error:
        raise FormUnusable(sorted({_sentence(problem) for problem in error.errors()})) from error


def run_id_of(form: Mapping[str, str]) -> str | None:
    """The id that the form gave its run; None where it has none of ours."""
    given = form.get("run_id", "")
    return given if _RUN_ID.fullmatch(given) else None


def fields_of(config: Mapping[str, Any]) -> dict[str, str]:  # Any: JSON values
    """A run's config as the form's fields, to start again from it."""
    fields = {"recipe": str(config["recipe"]), "architecture": str(config["architecture"])}
    fields |= {name: str(config[name]) for name in _NUMBERS}
    for row, stage in enumerate(config["stages"][:STAGE_ROWS]):
        low, high = stage["max_lr"] if isinstance(stage["max_lr"], list) else (None, stage["max_lr"])
        values = (
            "true" if stage["freeze"] else "false",
            stage["epochs"],
            "" if low is None else low,
            high,
            "true" if stage["train_batch_norm"] else "false",
        )
        fields |= {f"stage_{name}_{row}": str(value) for name, value in zip(_STAGE_FIELDS, values, strict=True)}
    return fields | augmentation_fields(config["augmentation"])


def augmentation_fields(augmentation: Mapping[str, Any]) -> dict[str, str]:  # Any: JSON values
    """Random changes as the form's fields."""
    fields = {name: str(augmentation[name]) for name in _CHANGES}
    return fields | {name: "on" for name in ("flip", "flip_vertical") if augmentation[name]}


def _defaults() -> dict[str, Any]:  # Any: numbers and booleans
    usual = Augmentation().model_dump()
    return {name: usual[name] for name in ("flip", "flip_vertical", *_CHANGES)}


def _stage(form: Mapping[str, str], row: int) -> dict[str, Any]:  # Any: checked by pydantic
    given = {name: form.get(f"stage_{name}_{row}", "").strip() for name in _STAGE_FIELDS}
    stage: dict[str, Any] = {}
    if given["freeze"]:
        stage["freeze"] = given["freeze"] == "true"
    if given["epochs"]:
        stage["epochs"] = given["epochs"]
    if given["high"]:
        stage["max_lr"] = [given["low"], given["high"]] if given["low"] else given["high"]
    if given["bn"]:
        stage["train_batch_norm"] = given["bn"] == "true"
    return stage


def _augmentation(form: Mapping[str, str]) -> dict[str, Any]:  # Any: checked by pydantic
    usual = _defaults()
    changed: dict[str, Any] = {name: name in form for name in ("flip", "flip_vertical")}
    for name in _CHANGES:
        text = form.get(name, "").strip()
        try:
            changed[name] = float(text) if text else usual[name]
        except ValueError:
            changed[name] = text
    return changed


def _sentence(problem: Any) -> str:  # Any: pydantic's ErrorDetails
    names = [str(part) for part in problem["loc"] if str(part) in _WORDS]
    field = _WORDS[names[-1]] if names else "A field"
    match problem["type"]:
        case "greater_than_equal" | "greater_than":
            bound = problem["ctx"].get("ge", problem["ctx"].get("gt"))
            accepted = f"has to be {'at least' if 'ge' in problem['ctx'] else 'more than'} {bound:g}."
        case "less_than_equal" | "less_than":
            bound = problem["ctx"].get("le", problem["ctx"].get("lt"))
            accepted = f"has to be {'at most' if 'le' in problem['ctx'] else 'less than'} {bound:g}."
        case _:
            accepted = "has to be a number."
    return f"{field} {accepted}"
