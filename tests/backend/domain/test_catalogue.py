from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from backend.domain.architectures import ARCHITECTURES, Architecture, PretrainedWeights, WeightSource
from backend.domain.catalogue import (
    ImageSizeUnsuitable,
    UnknownArchitecture,
    architecture_named,
    architecture_of,
    is_known,
    look_up,
    suitable_size,
    title_of,
    use_lookup,
)
from backend.domain.training import Recipe, StageRequest, TrainingConfig, TrainingRequest, resolve

VIT = Architecture(
    name="drawn_vit.in1k",
    title="drawn_vit.in1k",
    family="vision_transformer",
    parameters=370_000,
    features=128,
    layer_groups=8,
    default_image_size=160,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    weights=(PretrainedWeights("in1k", WeightSource.DOWNLOAD, file_name="drawn_vit.in1k.safetensors"),),
    blocks=7,
    license="apache-2.0",
    has_batch_norm=False,
    size_step=16,
    built_by="timm 1.0.0",
)


class Shelf:
    """A lookup of one network."""

    def __init__(self, entry: Architecture) -> None:
        self.entry = entry

    def named(self, name: str, weights: str | None = None) -> Architecture | None:
        return self.entry if name in (self.entry.name, self.entry.name.partition(".")[0]) else None

    def names(self) -> Sequence[str]:
        return [self.entry.name]


@pytest.fixture(autouse=True)
def shelf() -> Iterator[None]:
    use_lookup(Shelf(VIT))
    yield
    use_lookup(None)


def test_a_network_that_is_looked_up_brings_its_size_and_its_weights() -> None:
    config = resolve(TrainingRequest(architecture="drawn_vit"))

    assert (config.architecture, config.weights, config.image_size) == ("drawn_vit.in1k", "in1k", 160)
    assert config.entry == VIT


def test_a_runs_config_carries_the_facts_of_its_network_through_json() -> None:
    stored = resolve(TrainingRequest(architecture="drawn_vit.in1k")).model_dump(mode="json")

    use_lookup(Shelf(replace(VIT, features=1)))

    assert architecture_of(stored) == VIT
    assert TrainingConfig.model_validate(stored).entry.features == 128


def test_a_network_is_known_by_its_name_once_a_config_with_it_was_read() -> None:
    stored = resolve(TrainingRequest(architecture="drawn_vit.in1k")).model_dump(mode="json")
    use_lookup(None)

    TrainingConfig.model_validate(stored)

    assert is_known("drawn_vit.in1k")
    assert architecture_named("drawn_vit.in1k").blocks == 7


def test_a_written_entry_needs_no_facts_in_the_config() -> None:
    config = resolve(TrainingRequest(architecture="resnet34"))

    assert (config.network, config.entry) == (None, ARCHITECTURES["resnet34"])


def test_the_config_of_a_run_can_be_sent_again() -> None:
    config = resolve(TrainingRequest(architecture="drawn_vit.in1k"))

    assert resolve(TrainingRequest.model_validate(config.model_dump(mode="json"))) == config


def test_facts_in_a_request_are_not_read() -> None:
    forged = resolve(TrainingRequest(architecture="drawn_vit.in1k")).model_dump(mode="json")
    forged["network"]["weights"][0]["url"] = "http://elsewhere.invalid/weights.pth"

    assert resolve(TrainingRequest.model_validate(forged)).entry == VIT


def test_an_unknown_name_is_answered_with_those_that_are_near() -> None:
    with pytest.raises(UnknownArchitecture) as refusal:
        look_up("drawn_wit.in1k")

    assert refusal.value.details["near"] == ["drawn_vit.in1k"]
    assert refusal.value.advice.startswith("Choose one of: drawn_vit.in1k.")


@pytest.mark.parametrize(
    ("request_of", "possible"),
    [
        (TrainingRequest(architecture="drawn_vit", image_size=100), [96, 112]),
        (TrainingRequest(architecture="drawn_vit", stages=(StageRequest(freeze=True, image_size=130),)), [128, 144]),
    ],
)
def test_a_size_that_the_network_cannot_divide_is_refused_with_the_nearest(
    request_of: TrainingRequest, possible: list[int]
) -> None:
    with pytest.raises(ImageSizeUnsuitable) as refusal:
        resolve(request_of)

    assert refusal.value.details["possible"] == possible


def test_a_network_of_one_size_takes_no_other() -> None:
    use_lookup(Shelf(replace(VIT, is_fixed_size=True)))

    with pytest.raises(ImageSizeUnsuitable) as refusal:
        resolve(TrainingRequest(architecture="drawn_vit", image_size=320))

    assert refusal.value.details["possible"] == [160]
    assert "takes only pictures of 160 pixels" in refusal.value.message


def test_a_recipes_own_stages_have_a_size_that_the_network_takes() -> None:
    use_lookup(Shelf(replace(VIT, size_step=14, default_image_size=518)))

    stages = resolve(TrainingRequest(architecture="drawn_vit")).stages

    assert [stage.image_size for stage in stages] == [None, 126]


@pytest.mark.parametrize(("has_batch_norm", "rates"), [(True, (3e-3, 3e-3)), (False, (1e-5, 3e-4))])
def test_all_layers_of_a_network_without_batch_norm_are_trained_gently(
    has_batch_norm: bool, rates: tuple[float, float]
) -> None:
    use_lookup(Shelf(replace(VIT, has_batch_norm=has_batch_norm)))

    assert resolve(TrainingRequest(architecture="drawn_vit")).stages[1].max_lr == rates
    assert resolve(TrainingRequest(architecture="drawn_vit", recipe=Recipe.FINE_TUNE)).stages[1].max_lr == (1e-5, 1e-3)


def test_the_title_of_a_network_outside_the_catalogue_is_its_name() -> None:
    assert (title_of("resnet18"), title_of("gone_net.a1")) == ("ResNet-18", "gone_net.a1")


@pytest.mark.parametrize(("entry", "size"), [(VIT, 96), (replace(VIT, is_fixed_size=True), 160)])
def test_a_smaller_size_is_one_that_the_network_takes(entry: Architecture, size: int) -> None:
    assert suitable_size(entry, 111) == size
