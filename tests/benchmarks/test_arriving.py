"""The pictures that the benchmark of imports draws."""

import zipfile
from io import BytesIO
from pathlib import Path

from PIL import Image

from benchmarks.arriving import draw
from tests.fixtures.pictures import draw as drawn_shape
from tests.fixtures.pictures import encode


def test_pictures_are_drawn_from_photos_in_folders_of_their_class_and_no_two_are_the_same(tmp_path: Path) -> None:
    for name in ("red_cat_1.png", "dog_2.png"):
        (tmp_path / name).write_bytes(encode(drawn_shape("circle", 1, 64)))

    draw(tmp_path, 4, tmp_path / "pictures.zip")

    with zipfile.ZipFile(tmp_path / "pictures.zip") as packed:
        assert packed.namelist() == ["dog/0.jpg", "red_cat/1.jpg", "dog/2.jpg", "red_cat/3.jpg"]
        contents = [packed.read(name) for name in packed.namelist()]
    assert len(set(contents)) == 4
    # One in a thousand is blank: the first.
    colours = [Image.open(BytesIO(content)).convert("L").getextrema() for content in contents]
    assert [low == high for low, high in colours] == [True, False, False, False]
