import pytest

from backend.datasets.table_files import is_table


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("labels.csv", b"name,label\n1.png,cat\n"),
        ("labels.TSV", b"name\tlabel\n"),
        ("labels.csv", "name;label\n".encode("utf-16")),
        ("train.txt", b"images/cat1.jpg 0\nimages/dog1.jpg 1\n"),
        ("labels.txt", b"img_1\tcat\nimg_2\tdog\n"),
        ("one.txt", b"1.png,cat\n"),
        ("labels.txt", "img_1;Katze\r\nimg_2;M\u00e4use\r\n".encode("cp1252")),
    ],
)
def test_a_table_is_recognised(path: str, content: bytes) -> None:
    assert is_table(path, content)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("README.txt", b"name,label\n1.png,cat\n2.png,dog\n"),
        ("notes.txt", b"Dear Ana,\nthese are the pictures,\n"),
        ("hint.txt", b"Dear Ana,\nthese are the pictures,\nsee you,\n"),
        ("hint.txt", b"hello world\nfoo bar\n"),
        ("classes.txt", b"cat\ndog\n"),
        ("empty.csv", b""),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\0\0"),
        ("labels.json", b"{}"),
    ],
)
def test_other_files_are_no_tables(path: str, content: bytes) -> None:
    assert not is_table(path, content)
