"""Images in columns are read like a list of images."""

from backend.datasets.repository import ImageList, ImageNames
from backend.domain.ids import Digest

CAT = ImageNames("1", Digest("c"), "a.jpg", ("a.jpg", "z.jpg"))
DOG = ImageNames("2", Digest("a"), "b.jpg", ("b.jpg",))
COW = ImageNames("3", Digest("b"), "c.jpg", ("c.jpg",))
IMAGES = ImageList(
    ["1", "2", "3"],
    [Digest("c"), Digest("a"), Digest("b")],
    ["a.jpg", "b.jpg", "c.jpg"],
    {"1": ("a.jpg", "z.jpg")},
)


def test_it_gives_each_image_with_all_of_its_names() -> None:
    assert [*IMAGES] == [CAT, DOG, COW]
    assert (IMAGES[0], IMAGES[-1]) == (CAT, COW)
    assert len(IMAGES) == 3


def test_a_part_of_it_is_read_in_the_same_way() -> None:
    assert [*IMAGES[1:]] == [DOG, COW]
    assert [*IMAGES.at([2, 0])] == [COW, CAT]
    assert not IMAGES[3:]
