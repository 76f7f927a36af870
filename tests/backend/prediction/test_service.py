"""Answers for new pictures, from a network whose answers are known."""

import pytest
from PIL import Image

from backend.imaging.pool import decoding_pool
from backend.prediction.models import ModelCache, ModelSource
from backend.prediction.service import Answer, Answers, Refusal, predict
from tests.fixtures.pictures import encode

RED = encode(Image.new("RGB", (40, 30), (255, 0, 0)))
GREEN = encode(Image.new("RGB", (30, 40), (0, 255, 0)))


def ask(model: ModelSource, files: list[tuple[str, bytes]]) -> Answers:
    """The answers of a model that is loaded for this."""
    return predict(ModelCache(), decoding_pool(), model, files)


def test_it_answers_with_every_class_the_likeliest_first(colour_model: ModelSource) -> None:
    (answer,) = ask(colour_model, [("red.png", RED)]).items

    assert isinstance(answer, Answer)
    assert (answer.file, answer.predicted) == ("red.png", "red")
    # e^4 / (e^4 + 2) and 1 / (e^4 + 2)
    assert answer.confidence == pytest.approx(0.964664, abs=1e-6)
    assert answer.probabilities == pytest.approx({"red": 0.964664, "blue": 0.017668, "green": 0.017668}, abs=1e-6)
    assert next(iter(answer.probabilities)) == "red"


def test_a_file_that_is_no_picture_is_answered_in_its_place(colour_model: ModelSource) -> None:
    found = predict(
        ModelCache(), decoding_pool(), colour_model, [("a.png", RED), ("notes.jpg", b"hello"), ("b.png", GREEN)]
    ).items

    assert [item.file for item in found] == ["a.png", "notes.jpg", "b.png"]
    assert found[1] == Refusal("notes.jpg", "image-format-unknown", "It is a text, not a picture.")
    assert isinstance(found[2], Answer)
    assert found[2].predicted == "green"


def test_many_pictures_keep_their_order(colour_model: ModelSource) -> None:
    files = [(f"{place}.png", RED if place % 3 else GREEN) for place in range(20)]

    found = ask(colour_model, files).items

    assert [item.predicted for item in found if isinstance(item, Answer)] == [
        "red" if place % 3 else "green" for place in range(20)
    ]


def test_no_pictures_give_no_answers(colour_model: ModelSource) -> None:
    assert ask(colour_model, []).items == ()


def test_a_picture_stored_on_its_side_gets_the_same_answer_as_the_upright_one(colour_model: ModelSource) -> None:
    upright = Image.new("RGB", (48, 32), (255, 0, 0))
    upright.paste((0, 0, 255), (0, 0, 13, 32))  # blue at the left; the square cut from the middle sees 5 columns of it
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise when shown
    on_its_side = encode(upright.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())

    straight, turned = predict(
        ModelCache(), decoding_pool(), colour_model, [("a", encode(upright)), ("b", on_its_side)]
    ).items

    assert isinstance(straight, Answer)
    assert isinstance(turned, Answer)
    assert turned.probabilities == pytest.approx(straight.probabilities, abs=1e-7)
    assert straight.probabilities["blue"] > straight.probabilities["green"]


def test_a_transparent_picture_is_laid_on_white(colour_model: ModelSource) -> None:
    clear = encode(Image.new("RGBA", (20, 20), (255, 0, 0, 0)))

    (answer,) = ask(colour_model, [("clear.png", clear)]).items

    assert isinstance(answer, Answer)
    assert answer.confidence == pytest.approx(1 / 3, abs=1e-6)
