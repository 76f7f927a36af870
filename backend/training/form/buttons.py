"""What the buttons within the train form do to it, and what it is filled in with when the page is opened."""

from typing import Final

from sqlalchemy.orm import Session

from backend.domain.architectures import ARCHITECTURES
from backend.domain.training import StageRequest, TrainingConfig, TrainingRequest, resolve
from backend.training.find import find_checkpoint, find_run
from backend.training.form.form import TrainForm
from backend.training.form.reading import STAGE_ROWS

_NUMBERED: Final = ("remove-stage-", "batch-")
_USE: Final = "use-"


def form_after(session: Session, form: TrainForm) -> TrainForm | None:
    """The form after the button of its field ``do`` was pressed; None where it is to be sent.

    Raises:
        FormUnusable, RunNotFound
    """
    done = _done(session, form, form.fields.get("do", ""))
    return None if done is None else done.beside(form)


def _done(session: Session, form: TrainForm, do: str) -> TrainForm | None:
    name, number = next(((one, do.removeprefix(one)) for one in _NUMBERED if do.startswith(one)), ("", ""))
    if number.isascii() and number.isdigit():
        return form.without_stage(int(number)) if name == "remove-stage-" else form.with_values(batch_size=number)
    if do.startswith(_USE) and do.removeprefix(_USE) in ARCHITECTURES:
        return form.with_values(architecture=do.removeprefix(_USE), network="", weights="")
    match do:
        case "add-stage":
            return form.with_stage_added()
        case "show":
            return form.with_values()
        case "back":
            return TrainForm.of_preset(form.preset)
        case "json":
            return TrainForm.of_json(form.fields.get("json", ""))
        case "again":
            return form_of_run(session, form.fields.get("again", ""))
        case _:
            return None


def form_of_run(session: Session, run_id: str) -> TrainForm:
    """The form with the settings of an earlier run.

    Raises:
        RunNotFound
    """
    return TrainForm.of_config(find_run(session, run_id).config)


def form_after_checkpoint(session: Session, checkpoint_id: str) -> TrainForm:
    """The form to go on from a model: its run's settings with the stage that comes next.

    That is the stage that followed in that run, else one that trains all layers, at its recipe's careful rates.

    Raises:
        CheckpointNotFound
    """
    checkpoint = find_checkpoint(session, checkpoint_id)
    config = TrainingConfig.model_validate(find_run(session, checkpoint.run_id).config)
    following = config.stages[checkpoint.stage + 1 :]
    if not following:
        following = resolve(TrainingRequest(recipe=config.recipe, stages=(StageRequest(freeze=False),))).stages
    stages = following[:STAGE_ROWS]
    config = config.model_copy(update={"stages": stages, "minutes": None})
    return TrainForm.of_config(config.model_dump(mode="json"), checkpoint_id).with_values(stage_count=str(len(stages)))
