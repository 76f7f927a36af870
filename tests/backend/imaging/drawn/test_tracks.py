import numpy as np
import pytest

from backend.imaging.decoding import decode
from backend.imaging.drawn.tracks import MAX_POINTS, is_track
from backend.imaging.errors import UnreadableImage
from tests.fixtures.sounds import track


@pytest.mark.parametrize(
    "content",
    [
        b"x,y,t\n1,2,3\n",
        b"\xef\xbb\xbfT;X;Y\r\n1,5;2;3\r\n",
        b"id\tx\ty\ttime\n1\t2\t3\t4\n",
        b'"x","y","timestamp"\n1,2,3\n',
        "x,y,t\n1,2,3\n".encode("utf-16"),
    ],
)
def test_a_table_of_x_y_and_t_is_a_movement(content: bytes) -> None:
    assert is_track(content)


@pytest.mark.parametrize(
    "content",
    [
        b"name,label\na.jpg,cat\n",
        b"x,y,t,label\n1,2,3,cat\n",
        b"id,x,y,t\na.jpg,1,2,3\n",
        b"x,y\n1,2\n",
        b"x,x,y,t\n1,1,2,3\n",
        b"",
        b"\0\1\2",
    ],
)
def test_a_table_with_anything_else_is_none(content: bytes) -> None:
    assert not is_track(content)


def test_it_is_drawn_as_it_went_brighter_where_it_was_faster() -> None:
    # Slowly to the right, then quickly down.
    slow = [(float(at), 0.0, float(at)) for at in range(101)]
    quick = [(100.0, 10.0 * at, 100.0 + at) for at in range(1, 11)]

    facts, image = decode(track([*slow, *quick]))

    grey = np.asarray(image.convert("L")).astype(int)
    assert (facts.format, image.size) == ("TRACK", (512, 512))
    assert [note.code for note in facts.notes] == ["drawn-track"]
    assert facts.notes[0].message.startswith("Drawn from a movement of 111 points over 110 (in the units of t)")
    # Above, from left to right; on the right, from above to below.
    along, down = grey[40:60, 100:440].max(axis=0), grey[100:440, 440:470].max(axis=1)
    assert 0 < along.max() < down.min()
    assert grey[200:, 100:400].max() < 10


def test_rows_come_in_the_order_of_time_and_ids_are_lines_of_their_own() -> None:
    rows = [(2, 9, 9, 4), (1, 5, 5, 2), (1, 0, 0, 1), (2, 9, 0, 3)]
    sorted_rows = [(1, 0, 0, 1), (1, 5, 5, 2), (2, 9, 0, 3), (2, 9, 9, 4)]
    tables = ["\n".join(["id,x,y,t", *(",".join(map(str, row)) for row in some)]) for some in (rows, sorted_rows)]

    one, other = (decode(table.encode()) for table in tables)

    assert one[1].tobytes() == other[1].tobytes()
    assert "4 points in 2 lines" in one[0].notes[0].message


def test_what_never_moves_is_drawn_too() -> None:
    assert np.asarray(decode(track([(1, 1, 1), (1, 1, 1)]))[1]).max() > 100


def test_of_very_many_points_the_first_are_drawn_and_that_is_noted() -> None:
    facts, _ = decode(track([(at % 7, at % 5, at) for at in range(MAX_POINTS + 1)]))

    assert facts.notes[1].code == "track-cut"
    assert facts.notes[1].message == "It has more rows: only the first 20,000 points are drawn."


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [
        (b"x,y,t\n1,2,3\n4,five,6\n", "track-broken", "line 3 has “five” where a number is needed"),
        (b"x,y,t\n1,2,nan\n", "track-broken", "line 2 has “nan” where a number is needed"),
        (b"x,y,t\n1,2,3\n", "track-empty", "it has the columns x, y and t of a movement, but fewer than two rows"),
    ],
)
def test_a_movement_that_cant_be_read_is_refused_with_the_line(content: bytes, code: str, reason: str) -> None:
    with pytest.raises(UnreadableImage) as refusal:
        decode(content)

    assert refusal.value.reason_code == code
    assert refusal.value.message.startswith(reason)
