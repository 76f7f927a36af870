import pytest

from backend.domain.architectures import ARCHITECTURES, WeightSource, canonical_name
from backend.domain.training import TrainingRequest, resolve


def test_the_first_architecture_needs_no_download() -> None:
    first = next(iter(ARCHITECTURES.values()))

    assert (first.name, first.weights[0].source) == ("efficientnet-lite0", WeightSource.PACKAGE)


def test_downloads_carry_their_hash_in_their_name() -> None:
    prefixes = {
        weights.file_name: weights.sha256_prefix
        for entry in ARCHITECTURES.values()
        for weights in entry.weights
        if weights.source is WeightSource.DOWNLOAD
    }

    assert prefixes == {
        "resnet18-f37072fd.pth": "f37072fd",
        "resnet34-b627a593.pth": "b627a593",
        "resnet50-0676ba61.pth": "0676ba61",
        "resnet50-11ad3fa6.pth": "11ad3fa6",
    }


def test_each_architecture_is_filed_under_its_own_name() -> None:
    assert all(name == entry.name for name, entry in ARCHITECTURES.items())


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("efficientnet-lite0", "efficientnet-lite0"),
        ("efficientnet_lite0", "efficientnet-lite0"),
        ("tf_efficientnet_lite0", "efficientnet-lite0"),
        ("EfficientNet-Lite0", "efficientnet-lite0"),
        ("tf_efficientnet_lite2", "efficientnet-lite2"),
        ("ResNet-34", "resnet34"),
        ("vgg16", "vgg16"),
    ],
)
def test_every_usual_spelling_of_an_architecture_is_taken_and_answered_with_one(spelling: str, name: str) -> None:
    assert canonical_name(spelling) == name
    assert TrainingRequest(architecture=spelling).architecture == name


def test_a_training_has_the_catalogues_spelling() -> None:
    assert resolve(TrainingRequest(architecture="tf_efficientnet_lite0")).architecture == "efficientnet-lite0"
