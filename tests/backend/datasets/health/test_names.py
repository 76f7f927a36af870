"""Checks of names alone."""

from backend.datasets.health.names import groups_of, names
from backend.datasets.health.picture import Material, Picture


def picture(path: str, label: str = "cat", split: str = "train", format: str = "JPEG") -> Picture:
    return Picture(path, (path,), format, 100, 100, 1000, None, label, split)


def found(*pictures: Picture, split_is_random: bool = True) -> dict[str, list[str]]:
    """Pictures of each finding, by its kind."""
    findings, _ = names(Material(pictures, split_is_random=split_is_random))
    return {finding.kind: finding.image_ids for finding in findings}


def test_a_png_of_the_same_name_beside_a_photograph_is_a_mask() -> None:
    photograph, mask = picture("crack/Imgs/1.jpg"), picture("crack/Imgs/1.png", format="PNG")

    assert found(photograph, mask, picture("crack/Imgs/2.png", format="PNG")) == {"mask": ["crack/Imgs/1.png"]}


def test_a_folder_of_masks_is_told_from_a_folder_of_pictures() -> None:
    images = [picture(f"{folder}/{number}.png", format="PNG") for folder in ("images", "masks") for number in (1, 2)]

    assert found(*images) == {"mask": ["masks/1.png", "masks/2.png"]}


def test_changed_copies_of_one_source_on_both_sides_are_a_leak_by_name() -> None:
    one = picture("train/cat/walk_jpg.rf.0123456789abcdef0123.jpg")
    other = picture("valid/cat/walk_jpg.rf.fedcba9876543210fedc.jpg", split="valid")

    assert found(one, other, picture("valid/cat/7.jpg", split="valid"), picture("train/cat/7.jpg"))["leak"] == [
        one.id,
        other.id,
    ]


def test_numbers_after_the_names_of_classes_are_no_groups() -> None:
    pets = [
        picture(f"{breed}_{number}.jpg", breed, "valid" if number == 3 else "train")
        for breed in ("Bengal", "beagle", "pug", "Siamese", "boxer", "Birman")
        for number in range(1, 5)
    ]

    assert found(*pets) == {}
    assert groups_of(r"/([^/]+)_[0-9]+\.jpg$", pets) == {}


def test_series_that_a_random_split_tears_apart_are_groups_and_those_in_folders_by_side_are_not_asked_about() -> None:
    slides = [
        picture(f"{'ill' if slide < 4 else 'well'}/slide{slide}_{part:03}.png", "ill" if slide < 4 else "well")
        for slide in range(8)
        for part in range(3)
    ]
    torn = [one._replace(split="valid") if one.path.endswith("_002.png") else one for one in slides]

    assert len(found(*torn)["group"]) == 24
    assert found(*slides) == {}
    assert found(*torn, split_is_random=False) == {}
