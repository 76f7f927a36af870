"""Names in the encodings that old programs used."""

import pytest

from backend.datasets.archives.names import NameDecoder
from tests.backend.datasets.conftest import Ana
from tests.fixtures.archives import named_in, tar_named_in
from tests.fixtures.pictures import draw, encode

NAMES = [
    ("cp932", "Shift-JIS", ("写真/猫/表1.png", "写真/犬/ソファ2.png")),
    ("gb18030", "GBK", ("图片/猫/照片1.png", "图片/狗/照片2.png")),
    ("big5", "Big5", ("貓/照片1.png", "狗/照片2.png")),
    ("cp949", "EUC-KR", ("고양이/사진1.png", "강아지/사진2.png")),
    ("cp437", "CP437", ("café/1.png", "Müller/2.png")),
    ("cp866", "CP866", ("кошки/1.png", "собаки/фото2.png")),
    ("cp1251", "Windows-1251", ("кошки/1.png", "собаки/фото2.png")),
]


@pytest.mark.parametrize(("codec", "shown", "names"), NAMES, ids=[shown for _, shown, _ in NAMES])
def test_the_encoding_of_names_is_guessed_from_all_of_them(codec: str, shown: str, names: tuple[str, ...]) -> None:
    raw = [name.encode(codec) for name in names]
    decoder = NameDecoder(raw)

    assert [decoder.decode(name) for name in raw] == list(names)
    assert decoder.encoding == shown


@pytest.mark.parametrize(
    "pack", [named_in, tar_named_in, lambda *parts: named_in(*parts)[:-30]], ids=["zip", "tgz", "cut"]
)
def test_an_import_tells_how_names_were_read(ana: Ana, pack: object) -> None:
    names = ("写真/猫/表1.png", "写真/犬/ソファ2.png")
    assert callable(pack)
    archive = pack("cp932", {name: encode(draw("circle", number)) for number, name in enumerate(names)})

    done = ana.run_to_its_end(ana.send_archive(archive)["id"])

    assert done["name_encoding"] == "Shift-JIS"
    assert sorted(image["path"] for image in ana.images()) == sorted(names)


def test_names_in_utf8_need_no_guess() -> None:
    decoder = NameDecoder(["写真/猫.png".encode(), b"plain.png"])

    assert decoder.encoding is None
    assert decoder.decode("é".encode()) == "é"
