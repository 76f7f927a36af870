"""What a training run is asked to do, and the recipes that fill in what was left open.

``TrainingRequest`` is what a person or program sends: nearly everything may be
left out. ``TrainingConfig`` is what will run: nothing is left out, so a run's
record pins every number. ``resolve`` turns the first into the second.

Source of the recipes' numbers: fastai v1 (the 2019 course) and fastai v2; the
places where we differ on purpose are listed in ``docs/recipes.md``.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from backend.domain.architectures import ARCHITECTURES, Architecture, canonical_name
from backend.domain.catalogue import UnknownWeights, architecture_named, look_up, remember, require_size, suited
from backend.domain.json import Json


class Recipe(StrEnum):
    """Where the numbers of a run come from."""

    LESSON_1 = "lesson-1"
    FINE_TUNE = "fine-tune"
    RECOMMENDED = "recommended"
    CUSTOM = "custom"


class Precision(StrEnum):
    """Number format of the forward and backward pass; ``auto`` asks the hardware."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DeviceWanted(StrEnum):
    """On what a training may run; ``auto`` takes a GPU where a worker has one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class ClassBalance(StrEnum):
    """What is done about classes with unequal numbers of images."""

    NONE = "none"
    WEIGHTED_LOSS = "weighted-loss"
    """A mistake counts the more, the rarer its class."""
    BALANCED_SAMPLING = "balanced-sampling"
    """Every class is drawn equally often."""


class RunIf(StrEnum):
    """On what condition a stage runs."""

    ALWAYS = "always"
    MISTAKES = "mistakes"
    """Only where the model before it gets validation images wrong, so that there is something to improve."""


LearningRate = Annotated[float, Field(gt=0, le=10)]
MaxLearningRate = LearningRate | tuple[LearningRate, LearningRate]
MomentumShare = Annotated[float, Field(gt=0, lt=1)]


class Augmentation(_Part):
    """Random changes to training images; the names and defaults of fastai's ``aug_transforms``.

    Angles in degrees; zoom as a factor; lighting and warp as the largest change.
    Each of warp, rotation and zoom happens with probability ``p_affine``, each of
    brightness and contrast with ``p_lighting``, a flip with probability 0.5.
    """

    flip: bool = True
    flip_vertical: bool = False
    max_rotate: float = Field(10.0, ge=0, le=180)
    min_zoom: float = Field(1.0, ge=0.5, le=4)
    max_zoom: float = Field(1.1, ge=0.5, le=4)
    max_lighting: float = Field(0.2, ge=0, lt=1)
    max_warp: float = Field(0.2, ge=0, lt=1)
    p_affine: float = Field(0.75, ge=0, le=1)
    p_lighting: float = Field(0.75, ge=0, le=1)

    @model_validator(mode="after")
    def _zoom_in_order(self) -> Self:
        if self.min_zoom > self.max_zoom:
            raise ValueError("The smallest zoom must not be larger than the largest.")
        return self


NO_AUGMENTATION = Augmentation(
    flip=False, flip_vertical=False, max_rotate=0, min_zoom=1, max_zoom=1, max_lighting=0, max_warp=0
)

# Time to the right and high notes above: mirrored, rotated or tilted, a spectrogram is one of no sound at all.
OF_SOUNDS: Final = Augmentation(flip=False, max_rotate=0, max_warp=0)
# A mirrored movement is another one; by which angle it is seen matters less.
OF_TRACKS: Final = Augmentation(flip=False)
_USUAL_CHANGES: Final = (None, Augmentation(), OF_SOUNDS, OF_TRACKS)


class StageRequest(_Part):
    """One stage as asked for; what is None takes the recipe's value."""

    freeze: bool | None = None
    epochs: int | None = Field(None, ge=1, le=1000)
    max_lr: MaxLearningRate | Literal["find"] | None = None
    train_batch_norm: bool | None = None
    warmup: float | None = Field(None, gt=0, lt=1)
    start_div: float | None = Field(None, ge=1)
    final_div: float | None = Field(None, ge=1)
    momentum_high: float | None = Field(None, gt=0, lt=1)
    momentum_low: float | None = Field(None, gt=0, lt=1)
    views: int | None = Field(None, ge=0, le=16)
    frozen_blocks: int | None = Field(None, ge=0, le=32)
    image_size: int | None = Field(None, ge=32, le=1024)
    keep_best: bool | None = None
    early_stopping: int | None = Field(None, ge=1, le=1000)
    stop_if_worse: bool | None = None
    run_if: RunIf | None = None


FROZEN_VIEWS: Final = 1
"""Random views of each image of which a frozen backbone computes features.

More gave no better head (docs/speed.md), and each costs as much as all the rest.
"""


class Stage(_Part):
    """One stage as it will run: a one-cycle over ``epochs`` passes.

    Attributes:
        freeze: only the head learns; else every layer group does.
        max_lr: one number for the head, with every other group at a tenth of it;
            or [lowest layers, head], spread geometrically over the groups;
            or "find": a search before the stage's first step decides.
        train_batch_norm: batch norm of frozen layers is still trained.
        warmup: share of the steps in which the rate rises.
        start_div: the rate begins at ``max_lr / start_div``.
        final_div: the rate ends at ``max_lr / final_div``.
        momentum_high, momentum_low: momentum moves against the rate, between these.
        views: random views of each image of which frozen layers compute features, which are stored; with 0 they see
            the image as evaluation does, without random changes.
        frozen_blocks: so many of the backbone's lowest blocks stay as they are although the stage isn't frozen.
        image_size: side of the square in this stage; None is the run's.
        keep_best: the stage ends with the weights of its best epoch, not of its last.
        early_stopping: the stage ends after so many epochs without a better one; None is never.
        stop_if_worse: the stage ends where it stays far behind the model before it (``is_far_behind``).
        run_if: on what condition it runs at all.
    """

    freeze: bool
    epochs: int = Field(ge=1, le=1000)
    max_lr: MaxLearningRate | Literal["find"]
    train_batch_norm: bool
    warmup: float = Field(gt=0, lt=1)
    start_div: float = Field(ge=1)
    final_div: float = Field(ge=1)
    momentum_high: float = Field(0.95, gt=0, lt=1)
    momentum_low: float = Field(0.85, gt=0, lt=1)
    views: int = Field(FROZEN_VIEWS, ge=0, le=16)
    frozen_blocks: int = Field(0, ge=0, le=32)
    image_size: int | None = Field(None, ge=32, le=1024)
    keep_best: bool = False
    early_stopping: int | None = Field(None, ge=1, le=1000)
    stop_if_worse: bool = False
    run_if: RunIf = RunIf.ALWAYS

    @property
    def peak(self) -> MaxLearningRate:
        """``max_lr`` of a stage whose rate is known, given or found."""
        assert self.max_lr != "find", "the search comes before the first step"
        return self.max_lr

    def with_rate(self, max_lr: MaxLearningRate) -> "Stage":
        """The stage once its rate was found."""
        return self.model_copy(update={"max_lr": max_lr})

    @property
    def features_are_constant(self) -> bool:
        """Whether nothing below the head changes, so that its answers to an image can be kept."""
        return self.freeze and not self.train_batch_norm

    @property
    def sees_plain_view(self) -> bool:
        """Whether frozen layers see each training image as evaluation does, without random changes."""
        return self.views == 0 and (self.features_are_constant or (not self.freeze and self.frozen_blocks > 0))

    @property
    def stored_views(self) -> int:
        """Views of each training image of which frozen layers' answers are stored: no more than there are epochs."""
        return max(1, min(self.views, self.epochs))


class TrainingRequest(_Part):
    """A training as asked for; what is None takes the recipe's value.

    The number of devices isn't a part of what will run: a training gives the same on any, and may continue on others.
    """

    architecture: str | None = None
    weights: str | None = None
    image_size: int | None = Field(None, ge=32, le=1024)
    batch_size: int | None = Field(None, ge=2, le=1024)
    seed: int = Field(42, ge=0, lt=2**32)
    recipe: Recipe | None = None
    minutes: float | None = Field(None, ge=0.1, le=1440)
    stages: tuple[StageRequest, ...] | None = Field(None, min_length=1, max_length=20)
    augmentation: Augmentation | None = None
    precision: Precision = Precision.AUTO
    weight_decay: float | None = Field(None, ge=0, le=1)
    class_balance: ClassBalance | None = None
    label_smoothing: float | None = Field(None, ge=0, lt=1)
    test_time_views: int | None = Field(None, ge=0, le=32)
    device: DeviceWanted = DeviceWanted.AUTO
    devices: Annotated[int, Field(ge=1, le=16)] | Literal["auto"] | None = Field(
        None,
        description="How many devices of a host it may use at most, where they are idle. auto, as where it is left "
        "out: all idle graphics cards, if it is thought to last for minutes; on a processor one.",
    )
    crop_share: float | None = Field(None, gt=0, le=1)
    decay_batch_norm: bool | None = None
    last_layer_bias: bool | None = None
    adam_betas: tuple[MomentumShare, MomentumShare] | None = None
    adam_epsilon: float | None = Field(None, gt=0, le=1)
    network: Json = Field(
        None, exclude=True, description="As in the config of a run, so that one can be sent again; it is not read."
    )

    @model_validator(mode="after")
    def _minutes_of_recommended(self) -> Self:
        # With stages it may stand there all the same: so does the config of a run, which can be sent again as it is.
        if self.minutes is not None and self.stages is None and not self.is_planned:
            raise ValueError("A time limit belongs to the recommended recipe.")
        return self

    @property
    def is_planned(self) -> bool:
        """Whether the stages are chosen by the pictures and the time that there is."""
        return self.stages is None and self.recipe in (None, Recipe.RECOMMENDED)

    @field_validator("architecture")
    @classmethod
    def _known_spelling(cls, name: str | None) -> str | None:
        return name if name is None else canonical_name(name)


class TrainingConfig(_Part):
    """A training as it will run; every number is written down.

    Attributes:
        weights: name of the pretrained weights in the architecture's catalogue entry.
        crop_share: share of an image's short side that the network's square covers.
        weight_decay: decoupled decay of Adam.
        decay_batch_norm: whether batch norm and biases decay as well (fastai v1: yes).
        last_layer_bias: whether the head's last layer has a bias (fastai v1: yes).
        adam_betas, adam_epsilon: Adam's other numbers; the first beta is overridden
            by the stage's momentum.
        label_smoothing: share of certainty that is spread over all classes in the loss.
        test_time_views: random views of each validation image whose answers are mixed into the plain one's; 0 is none.
        device: kind of device that may run it.
        minutes: within which the stages were planned to end; None where they were asked for.
        network: the facts of a network that isn't written down in the catalogue, as they were when the training was
            asked for: another version of timm doesn't change them. None for those of the catalogue.
    """

    architecture: str
    weights: str
    image_size: int = Field(ge=32, le=1024)
    crop_share: float = Field(gt=0, le=1)
    batch_size: int = Field(ge=2, le=1024)
    seed: int = Field(ge=0, lt=2**32)
    recipe: Recipe
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=20)
    augmentation: Augmentation
    precision: Precision
    weight_decay: float
    decay_batch_norm: bool
    last_layer_bias: bool
    adam_betas: tuple[float, float]
    adam_epsilon: float
    class_balance: ClassBalance = ClassBalance.NONE
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    test_time_views: int = Field(0, ge=0, le=32)
    device: DeviceWanted = DeviceWanted.AUTO
    network: Architecture | None = None
    minutes: float | None = None

    def model_post_init(self, context: object) -> None:
        if self.network is not None:
            remember(self.network)

    @property
    def entry(self) -> Architecture:
        """The network, as it was when the training was asked for."""
        return self.network or architecture_named(self.architecture)

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)


_LESSON_STAGES = (
    Stage(freeze=True, epochs=4, max_lr=3e-3, train_batch_norm=True, warmup=0.3, start_div=25, final_div=2.5e5),
    Stage(
        freeze=False, epochs=2, max_lr=(1e-6, 1e-4), train_batch_norm=True, warmup=0.3, start_div=25, final_div=2.5e5
    ),
)
_FINE_TUNE_STAGES = (
    Stage(freeze=True, epochs=1, max_lr=2e-3, train_batch_norm=True, warmup=0.99, start_div=25, final_div=1e5),
    Stage(freeze=False, epochs=4, max_lr=(1e-5, 1e-3), train_batch_norm=True, warmup=0.3, start_div=5, final_div=1e5),
)
# Measured on 37 breeds of 16 images, 8 splits: 10 epochs err 12.4 %, 4 epochs at 3e-3 14.9 %, for a second more.
# Over ten splits of two sets the plain view errs no more than a random one: 13.7 and 15.5 %, 18.5 and 19.0 %.
_FROZEN_STAGE = Stage(
    freeze=True, epochs=10, max_lr=2e-3, train_batch_norm=False, warmup=0.25, start_div=25, final_div=1e5, views=0
)
# Measured on pictures unlike ImageNet (docs/speed.md): lower rates err more; with fixed batch norm this one diverges.
_WHOLE_NETWORK_STAGE = Stage(
    freeze=False,
    epochs=50,
    max_lr=(3e-3, 3e-3),
    train_batch_norm=True,
    warmup=0.25,
    start_div=25,
    final_div=1e5,
    image_size=128,
    keep_best=True,
    stop_if_worse=True,
    run_if=RunIf.MISTAKES,
)
# Measured on ten splits of 37 breeds: gentle rates mend more than they spoil, higher ones the other way round.
_UNFROZEN_STAGE = Stage(
    freeze=False,
    epochs=2,
    max_lr=(3e-5, 3e-4),
    train_batch_norm=False,
    warmup=0.25,
    start_div=25,
    final_div=1e5,
    views=2,
    keep_best=True,
)

# The course's 64; on small sets half of it, which gives the head twice the steps, erred less (docs/recipes.md).
_BATCH_SIZE = {Recipe.LESSON_1: 64, Recipe.FINE_TUNE: 64, Recipe.RECOMMENDED: 32, Recipe.CUSTOM: 32}
_CROP_SHARE = {Recipe.LESSON_1: 1.0, Recipe.FINE_TUNE: 1.0, Recipe.RECOMMENDED: 0.875, Recipe.CUSTOM: 0.875}

_FASTAI_2: dict[str, Any] = {  # Any: keyword arguments of several types
    "decay_batch_norm": False,
    "last_layer_bias": False,
    "adam_betas": (0.9, 0.99),
    "adam_epsilon": 1e-5,
}
_FASTAI_1: dict[str, Any] = {  # Any: as above
    "decay_batch_norm": True,
    "last_layer_bias": True,
    "adam_betas": (0.9, 0.99),
    "adam_epsilon": 1e-8,
}

_DEFAULT_ARCHITECTURE = {
    Recipe.LESSON_1: "resnet34",
    Recipe.FINE_TUNE: "resnet34",
    Recipe.RECOMMENDED: "efficientnet-lite0",
    Recipe.CUSTOM: "efficientnet-lite0",
}
_STAGES = {
    Recipe.LESSON_1: _LESSON_STAGES,
    Recipe.FINE_TUNE: _FINE_TUNE_STAGES,
    Recipe.RECOMMENDED: (_FROZEN_STAGE, _WHOLE_NETWORK_STAGE),
    Recipe.CUSTOM: (_FROZEN_STAGE,),
}


def resolve(request: TrainingRequest) -> TrainingConfig:
    """The whole config as it will run, with the recipe's value for all that was left out.

    Raises:
        UnknownArchitecture, UnknownWeights: there is no such network, or it has no such weights.
        ImageSizeUnsuitable: the network doesn't take pictures of that size.
    """
    recipe = request.recipe or (Recipe.CUSTOM if request.stages else Recipe.RECOMMENDED)
    architecture = look_up(request.architecture or _DEFAULT_ARCHITECTURE[recipe], request.weights)
    name = architecture.name
    weights = request.weights or architecture.weights[0].name
    known = tuple(source.name for source in architecture.weights)
    if weights not in known:
        raise UnknownWeights(name, weights, known)
    stages = tuple(
        one.model_copy(update=suited(architecture, freeze=one.freeze, image_size=one.image_size, max_lr=one.max_lr))
        for one in _STAGES[recipe]
    )
    if request.stages is not None:
        stages = tuple(_resolve_stage(recipe, place, stage) for place, stage in enumerate(request.stages))
    if request.augmentation not in _USUAL_CHANGES:
        stages = tuple(_with_random_views(stage, request, place) for place, stage in enumerate(stages))
    optimizer = _FASTAI_1 if recipe is Recipe.LESSON_1 else _FASTAI_2
    image_size = request.image_size or architecture.default_image_size
    for size in (image_size, *(stage.image_size for stage in stages)):
        require_size(architecture, size or image_size)
    return TrainingConfig(
        architecture=name,
        network=None if name in ARCHITECTURES else architecture,
        weights=weights,
        image_size=image_size,
        crop_share=request.crop_share or _CROP_SHARE[recipe],
        batch_size=request.batch_size or _BATCH_SIZE[recipe],
        seed=request.seed,
        recipe=recipe,
        stages=stages,
        augmentation=request.augmentation or Augmentation(),
        precision=request.precision,
        weight_decay=0.01 if request.weight_decay is None else request.weight_decay,
        class_balance=request.class_balance or ClassBalance.NONE,
        label_smoothing=request.label_smoothing or 0.0,
        test_time_views=request.test_time_views or 0,
        device=request.device,
        **{name: usual if (own := getattr(request, name)) is None else own for name, usual in optimizer.items()},
    )


def usual_head_stage() -> Stage:
    """The stage in which only the head learns, of who asks for nothing else."""
    return _FROZEN_STAGE


def _resolve_stage(recipe: Recipe, place: int, stage: StageRequest) -> Stage:
    # The second stage of recommended is a decision of its own; one that somebody asks for is the gentle one.
    own = _STAGES[Recipe.CUSTOM if recipe is Recipe.RECOMMENDED else recipe]
    freeze = stage.freeze if stage.freeze is not None else (own[place].freeze if place < len(own) else False)
    # The recipe's stage at this place fits only if it is of the same kind; else its first of that kind does.
    if place < len(own) and own[place].freeze == freeze:
        base = own[place]
    else:
        base = next((one for one in own if one.freeze == freeze), _FROZEN_STAGE if freeze else _UNFROZEN_STAGE)
    given = {key: value for key, value in stage.model_dump().items() if value is not None}
    return Stage.model_validate({**base.model_dump(), **given, "freeze": freeze})


def _with_random_views(stage: Stage, request: TrainingRequest, place: int) -> Stage:
    """Who changes the random changes means them: frozen layers see them as well, unless it is said that they don't."""
    is_given = request.stages is not None and request.stages[place].views is not None
    return stage if is_given or stage.views else stage.model_copy(update={"views": FROZEN_VIEWS})


class RunStatus(StrEnum):
    """State of a run as the API and the pages show it."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return self in {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED}
