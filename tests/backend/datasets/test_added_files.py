from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode
from tests.fixtures.statements import statements_of

ONE, TWO = encode(draw("circle", 1)), encode(draw("square", 1))


def test_thirty_pictures_take_no_more_statements_than_one(ana: Ana) -> None:
    with statements_of(ana.services.database) as for_one:
        ana.bring({"one.png": ONE})

    with statements_of(ana.services.database) as for_thirty:
        ana.bring({f"{number}.png": encode(draw("cross", number)) for number in range(30)})

    # The first asks for an examination, which is under way when the others come.
    assert len(for_thirty) <= len(for_one)
    assert ana.dataset()["images"] == 31


def test_the_same_bytes_under_three_names_in_one_batch_are_one_picture_by_its_first_name(ana: Ana) -> None:
    answer = ana.bring({"b.png": ONE, "c.png": TWO, "a.png": ONE, "d.png": ONE})

    assert (answer["added"], answer["already_there"]) == (2, 2)
    assert [image["path"] for image in ana.images()] == ["a.png", "c.png"]
    assert ana.dataset()["bytes"] == len(ONE) + len(TWO)


def test_a_batch_with_known_and_new_pictures_counts_each(ana: Ana) -> None:
    ana.bring({"b.png": ONE})

    answer = ana.bring({"c.png": TWO, "a.png": ONE, "c.png ": TWO})

    assert (answer["added"], answer["already_there"]) == (1, 2)
    assert [image["path"] for image in ana.images()] == ["a.png", "c.png"]
