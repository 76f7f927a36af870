"""The batch page: random changes to try, kept in the address; what was cut out; the balance of the classes."""

import re

import numpy as np
from PIL import Image

from backend.datasets.look.balance import balance_of
from backend.domain.training import Augmentation
from backend.imaging.preprocessing import Preprocessing, training_view, view_corners
from tests.backend.datasets.conftest import Ana

PAGE = {"Accept": "text/html"}
STEPS = Preprocessing(100, 120, (0.5,) * 3, (0.25,) * 3)


def test_changes_in_the_address_reach_the_pictures_and_the_train_form(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})

    text = ana.client.get(f"/versions/{version['id']}?seed=7&max_rotate=30&flip=false&max_zoom=1.1", headers=PAGE).text
    form = ana.client.get(f"/versions/{version['id']}/train?flip=false&max_rotate=30", headers=PAGE).text

    assert text.count("&amp;flip=false&amp;max_rotate=30") >= 9
    assert f'href="/versions/{version["id"]}/train?flip=false&amp;max_rotate=30"' in text
    assert re.search(r'name="max_rotate"[^>]*value="30"', form)


def test_the_words_beside_a_slider_name_the_slider(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})

    text = ana.client.get(f"/versions/{version['id']}", headers=PAGE).text

    # A label without ``for`` names what comes first in it: the figure beside the slider.
    named = re.findall(r'<label class="slider" for="([^"]+)">', text)
    assert named == re.findall(r'<input id="([^"]+)" type="range"', text)
    assert "slider-max_rotate" in named


def test_the_same_address_gives_the_same_pixels_and_other_changes_others(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})

    def picture(query: str) -> bytes:
        item = ana.client.get(f"/api/v1/versions/{version['id']}/batch?n=1&seed=3&{query}").json()["items"][0]
        return ana.client.get(item["url"]).content

    usual = picture("")

    assert picture("max_rotate=10") == usual
    assert picture("max_rotate=180&p_affine=1") != usual


def test_a_change_out_of_its_range_is_refused_by_name(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})

    answer = ana.client.get(f"/api/v1/versions/{version['id']}/batch?max_rotate=500")

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"]) == (
        422,
        "augmentation-invalid",
        {"field": "max_rotate"},
    )


def test_without_changes_the_middle_is_cut_out() -> None:
    corners = view_corners(240, 120, STEPS, None, 0)

    # 240 x 120 with 100 x 100 cut from (70, 10) on.
    assert np.allclose(corners * [240, 120], [[70, 10], [170, 10], [170, 110], [70, 110]])


def test_of_a_very_long_picture_the_cut_lies_in_its_middle() -> None:
    corners = view_corners(4800, 120, STEPS, None, 0)

    assert np.allclose(corners.mean(axis=0), [0.5, 0.5])
    assert np.allclose(np.ptp(corners, axis=0) * [4800, 120], [100, 100])


def test_the_outline_is_where_the_view_was_taken() -> None:
    """A gradient says of every pixel where it was; only corners inside of the picture are compared."""
    augmentation = Augmentation(max_lighting=0, p_affine=1, max_warp=0, max_rotate=10, max_zoom=1.4)
    x, y = np.meshgrid(np.arange(240), np.arange(160))
    image = Image.fromarray(np.stack([x, y, 0 * x], axis=-1).astype(np.uint8))

    for seed in range(8):
        view = training_view(image, STEPS, augmentation, np.random.default_rng(seed))
        seen = [view[at][:2] for at in ((0, 0), (0, -1), (-1, -1), (-1, 0))]
        for corner, found in zip(view_corners(240, 160, STEPS, augmentation, seed), seen, strict=True):
            if (corner > 0.03).all() and (corner < 0.97).all():
                assert np.abs(corner * [240, 160] - found).max() < 3


def test_uneven_classes_are_told_in_a_sentence() -> None:
    counts = {"cat": {"train": 160, "valid": 40, "test": 0}, "owl": {"train": 9, "valid": 1, "test": 0}}

    uneven = balance_of(["cat", "owl"], counts)
    even = balance_of(["cat", "dog"], {"cat": counts["cat"], "dog": counts["cat"]})

    assert uneven.sentence.startswith("“cat” (200) has 20 times as many pictures as “owl” (10).")
    assert even.sentence == "Each class has 200 pictures."
    assert [bar.name for bar in uneven.bars] == ["cat", "owl"]
