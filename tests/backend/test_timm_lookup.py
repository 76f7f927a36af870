"""The lookup starts a process of its own; here a function stands for it, except in the last test."""

import json
from pathlib import Path

import pytest

from backend.domain.catalogue import UnknownArchitecture, look_up, use_lookup
from backend.timm_lookup import NetworksUnknown, TimmLookup

LISTED: dict[str, object] = {
    "names": [
        {
            "name": name,
            "family": family,
            "default_image_size": 224,
            "license": license,
            "is_default": is_default,
            "weights": {"name": name.partition(".")[2], "source": "download", "file_name": f"{name}.safetensors"},
        }
        for name, family, license, is_default in (
            ("convnext_tiny.fb_in1k", "convnext", "apache-2.0", False),
            ("convnext_tiny.in12k", "convnext", "apache-2.0", True),
            ("eva_convnext.a1", "eva", "mit", True),
            ("vit_small.lvd", "vision_transformer", "dinov3-license", True),
        )
    ]
}


def entry(name: str) -> dict[str, object]:
    return {
        "name": name, "title": name, "family": "convnext", "parameters": 1, "features": 8, "layer_groups": 3,
        "default_image_size": 224, "mean": [0.5] * 3, "std": [0.5] * 3, "blocks": 2, "built_by": "timm 1",
        "license": "dinov3-license" if name.startswith("vit") else "",
        "weights": [{"name": name.partition(".")[2], "source": "download", "file_name": f"{name}.safetensors"}],
    }  # fmt: skip


class Answers:
    """Stands for the process: records the names."""

    def __init__(self) -> None:
        self.names: list[tuple[str, ...]] = []

    def __call__(self, *names: str) -> dict[str, object]:
        self.names.append(names)
        if not names:
            return LISTED
        return {"unusable": "it has several outputs"} if names[0].startswith("eva") else {"entry": entry(names[0])}


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def lookup(tmp_path: Path, answers: Answers) -> TimmLookup:
    return TimmLookup(tmp_path, answers)


@pytest.mark.parametrize(
    ("name", "weights", "found"),
    [
        ("convnext_tiny.fb_in1k", None, "convnext_tiny.fb_in1k"),
        ("ConvNeXt_Tiny", None, "convnext_tiny.in12k"),
        ("convnext_tiny", "fb_in1k", "convnext_tiny.fb_in1k"),
    ],
)
def test_a_network_is_found_by_its_name_with_or_without_its_weights(
    lookup: TimmLookup, name: str, weights: str | None, found: str
) -> None:
    known = lookup.named(name, weights)

    assert known is not None
    assert known.name == found


def test_each_network_is_described_once_and_kept_for_the_next_process(
    lookup: TimmLookup, answers: Answers, tmp_path: Path
) -> None:
    lookup.named("vit_small.lvd")
    lookup.named("vit_small")
    TimmLookup(tmp_path, answers).named("vit_small.lvd")

    assert answers.names == [(), ("vit_small.lvd",)]


def test_a_name_that_is_none_starts_no_process_for_it(lookup: TimmLookup, answers: Answers) -> None:
    assert lookup.named("../../etc/passwd") is None
    assert lookup.named("convnext_huge") is None
    assert answers.names == [()]


def test_a_network_that_cannot_be_used_is_not_found(lookup: TimmLookup) -> None:
    assert lookup.named("eva_convnext.a1") is None


def test_a_damaged_file_is_described_again(lookup: TimmLookup, answers: Answers, tmp_path: Path) -> None:
    lookup.named("vit_small.lvd")
    for file in tmp_path.rglob("*.json"):
        file.write_text('{"names": [')

    again = TimmLookup(tmp_path, answers)

    assert again.named("vit_small.lvd") == lookup.named("vit_small.lvd")
    assert len(answers.names) == 4


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("convnext", ["convnext_tiny.in12k", "convnext_tiny.fb_in1k", "eva_convnext.a1"]),
        ("tiny fb", ["convnext_tiny.fb_in1k"]),
        ("vision-transformer", ["vit_small.lvd"]),
        ("nothing", []),
    ],
)
def test_words_of_names_and_families_are_searched(lookup: TimmLookup, words: str, names: list[str]) -> None:
    assert [one.name for one in lookup.search(words, 10)] == names


def test_an_unknown_name_is_answered_with_near_ones_of_timm(lookup: TimmLookup) -> None:
    use_lookup(lookup)
    try:
        with pytest.raises(UnknownArchitecture) as refusal:
            look_up("convnext_tiny.fb_in2k")
    finally:
        use_lookup(None)

    assert refusal.value.details["near"][0] == "convnext_tiny.fb_in1k"


def test_a_process_that_fails_is_an_error_to_try_again(tmp_path: Path) -> None:
    def fails(*names: str) -> dict[str, object]:
        raise NetworksUnknown

    with pytest.raises(NetworksUnknown):
        TimmLookup(tmp_path, fails).named("convnext_tiny")


def test_the_real_process_describes_a_network(tmp_path: Path) -> None:
    lookup = TimmLookup(tmp_path)

    found = lookup.named("test_convnext")

    assert found is not None
    assert (found.name, found.parameters, found.blocks) == ("test_convnext.r160_in1k", 272_128, 5)
    (kept,) = tmp_path.glob("timm-*/test_convnext.r160_in1k.json")
    assert json.loads(kept.read_bytes())["entry"]["license"] == "apache-2.0"
