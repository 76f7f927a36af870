"""What the train page shows of a form: the training as it would run, the presets beside it, the drawer.

``train_content`` is the one way there. It reads a version, the workers that are alive, the speeds
measured here and the earlier runs on the version, each once, and works out all the rest from them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.errors import VersionNotFound
from backend.datasets.versions import drawn_kind
from backend.domain.architectures import ARCHITECTURES, Architecture
from backend.domain.catalogue import ImageSizeUnsuitable, UnknownArchitecture, UnknownWeights
from backend.domain.errors import AppError
from backend.domain.ids import VersionId
from backend.domain.runs import CheckpointNotFound
from backend.domain.training import Stage, TrainingConfig
from backend.tables.datasets import VersionRow
from backend.timm_lookup import NetworksUnknown
from backend.training.find import find_checkpoint
from backend.training.forecast.durations import range_words
from backend.training.forecast.forecast import Forecaster
from backend.training.forecast.sentences import Outlook, forecast_sentences
from backend.training.form.form import TrainForm
from backend.training.form.offers import Offer, chosen_first, offers, time_words
from backend.training.form.presets import A_HANDFUL, CUSTOM, Preset
from backend.training.form.problems import FormUnusable
from backend.training.form.rate_search import search_time
from backend.training.form.reading import STAGE_ROWS
from backend.training.form.schedule import Schedule, schedule_of
from backend.training.form.writing import changed_fields, shown_values
from backend.training.repository import RunRepository
from backend.training.start import Plan, Planner, StartDiffers
from backend.weights import is_available


@dataclass(frozen=True)
class TrainContent:
    """All that the page shows of a form; what is worked out from its parts is here as well.

    Attributes:
        form: what is filled in, as it was typed.
        problems: a sentence for each field that can't be used, by its name.
        plan: the training that the other fields ask for.
        shown, others: the presets to show at once, and those that are kept folded away.
        search_times: for each stage, how long a search for its learning rate takes; empty where nothing is known.
    """

    version: VersionRow
    form: TrainForm
    problems: Mapping[str, str]
    plan: Plan
    shown: tuple[Offer, ...]
    others: tuple[Offer, ...]
    sentences: Outlook
    search_times: tuple[str, ...]
    has_workers: bool
    weights_folder: Path = field(repr=False)

    @property
    def config(self) -> TrainingConfig:
        """Every number of the training."""
        return self.plan.config

    @property
    def preset(self) -> Preset:
        """The preset that is chosen."""
        return self.form.preset

    @property
    def architecture(self) -> Architecture:
        """The network of the training."""
        return self.config.entry

    @property
    def time(self) -> str:
        """How long it takes; empty where nothing is known, or a field can't be used."""
        return "" if self.problems else time_words(self.plan.forecast)

    @cached_property
    def changed(self) -> frozenset[str]:
        """Names of the fields whose value isn't the preset's."""
        architecture = self.config.architecture if self.form.starts_from else None
        usual = self.preset.config(architecture)
        if self.config.minutes is not None:
            # How long it may take is asked beside the preset, and the stages follow from it.
            usual = usual.model_copy(update={"stages": self.config.stages, "minutes": self.config.minutes})
        changed = changed_fields(self.config, usual)
        # A network that is named is marked in its own field.
        return changed - {"architecture"} if self.config.network else changed

    @property
    def minutes(self) -> float | None:
        """The time limit of a training whose stages are planned; None for any other."""
        return self.config.minutes

    @property
    def first_model(self) -> str:
        """How long until the first model is ready, in words; empty where that is the only one, or unknown."""
        seconds = self.plan.forecast.first_model_seconds
        return "" if self.problems or seconds is None else range_words(seconds, seconds)

    @property
    def pictures(self) -> int:
        """How many pictures the version has."""
        return sum(of_class.get(side, 0) for of_class in self.version.counts.values() for side in _SIDES)

    @property
    def is_handful(self) -> bool:
        """Whether the pictures are too few for anything but a quick look."""
        return self.pictures < A_HANDFUL

    @cached_property
    def values(self) -> dict[str, str]:
        """What each field stands for where it is empty, by its name."""
        return shown_values(self.config)

    @cached_property
    def schedules(self) -> list[Schedule]:
        """How the rate of each stage goes."""
        return [schedule_of(stage, self.architecture.layer_groups) for stage in self.config.stages]

    @property
    def can_add(self) -> bool:
        """Whether the form has room for another stage."""
        return len(self.config.stages) < STAGE_ROWS

    @property
    def as_json(self) -> str:
        """The settings to copy."""
        return json.dumps(self.config.model_dump(mode="json"), indent=2, ensure_ascii=False)

    @cached_property
    def ready(self) -> dict[str, bool]:
        """Whether the weights of each architecture are on this server."""
        return {name: is_available(entry.weights[0], self.weights_folder) for name, entry in ARCHITECTURES.items()}

    @property
    def architecture_choices(self) -> list[tuple[str, str]]:
        """Values and words of the field for the network."""
        return [
            (name, entry.title if self.ready[name] else f"{entry.title} (weights not on this server)")
            for name, entry in ARCHITECTURES.items()
        ]

    @property
    def usual_architecture(self) -> str:
        """What the field for the network stands for where it is empty; one that is named has a field of its own."""
        return self.preset.config().architecture if self.config.network else self.config.architecture

    @property
    def weights_choices(self) -> list[tuple[str, str]]:
        """Values and words of the field for the pretrained weights."""
        return [(one.name, one.name) for one in self.architecture.weights]

    @property
    def instead(self) -> Architecture | None:
        """An architecture whose weights are here; None where there is none."""
        return next((ARCHITECTURES[name] for name, is_here in self.ready.items() if is_here), None)


_SIDES: Final = ("train", "valid", "test")
_OF_FIELDS: Final = (
    FormUnusable,
    StartDiffers,
    UnknownArchitecture,
    NetworksUnknown,
    UnknownWeights,
    ImageSizeUnsuitable,
    CheckpointNotFound,
)


def train_content(
    session: Session, version_id: str, form: TrainForm, weights_folder: Path, refusal: AppError | None = None
) -> TrainContent:
    """The page's content for a form; ``refusal``: why what was asked for can't be done, where that concerns a field.

    Raises:
        VersionNotFound
        OneClassOnly, ClassWithoutImages, NoValidationImages: the version can't be trained on.
    """
    runs = RunRepository(session)
    version = runs.version(VersionId(version_id))
    if version is None:
        raise VersionNotFound
    forecaster = Forecaster(session, version.counts, version_id)
    planner, plan, problems = _read(session, version, form, forecaster, weights_folder)
    problems = (problems_of(refusal, form) if refusal else {}) | problems
    downloads_fail = runs.has_download_failed()
    found = offers(planner, forecaster.counts.whole, downloads_fail=downloads_fail, has_custom=form.preset is CUSTOM)
    shown, others = chosen_first(found, form.preset)
    beside = [(one.preset.title, one.forecast) for one in shown if one.preset is not form.preset]
    return TrainContent(
        version,
        form,
        problems,
        plan,
        tuple(shown),
        tuple(others),
        forecast_sentences(forecaster, plan.config, plan.forecast, beside),
        tuple(_search_time(forecaster, plan.config, stage, form) for stage in plan.config.stages),
        bool(forecaster.workers),
        weights_folder,
    )


def problems_of(refusal: AppError, form: TrainForm) -> dict[str, str]:
    """The sentences of a refusal by the fields that it is about; none where it is about no field."""
    match refusal:
        case FormUnusable():
            return refusal.sentences
        case StartDiffers() | UnknownArchitecture() | NetworksUnknown():
            field = "network" if form.fields.get("network", "").strip() else "architecture"
            return {field: f"{refusal.message} {refusal.advice}"}
        case ImageSizeUnsuitable():
            return {"image_size": f"{refusal.message} {refusal.advice}"}
        case UnknownWeights():
            return {"weights": f"{refusal.message} {refusal.advice}"}
        case CheckpointNotFound():
            return {"starts_from": f"{refusal.message} {refusal.advice}"}
        case _:
            return {}


def _read(
    session: Session, version: VersionRow, form: TrainForm, forecaster: Forecaster, weights_folder: Path
) -> tuple[Planner, Plan, dict[str, str]]:
    """The training that a form asks for without the fields that can't be used, and a sentence for each of those."""
    problems: dict[str, str] = {}
    drawn = drawn_kind(session, version.id)
    for usable in (form, None, None, TrainForm.of_preset(form.preset)):
        read = usable or form.without(problems)
        try:
            model = find_checkpoint(session, read.starts_from) if read.starts_from else None
            planner = Planner(version, forecaster, weights_folder, model.architecture if model else None, drawn)
            return planner, planner.plan(read.request()), problems
        except _OF_FIELDS as refusal:
            problems |= problems_of(refusal, read)
    raise AssertionError("a preset by itself can always be trained")


def _search_time(forecaster: Forecaster, config: TrainingConfig, stage: Stage, form: TrainForm) -> str:
    searched = config.model_copy(update={"stages": (stage.model_copy(update={"max_lr": "find"}),)})
    return search_time(forecaster, searched, is_fresh=form.starts_from is None)
