import io
import struct
import zipfile

import pytest

from backend.imaging.decoding import decode
from backend.imaging.errors import UnreadableImage


def zipped(*names: str, mimetype: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        if mimetype:
            archive.writestr("mimetype", mimetype)
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


def jpeg(marker: int, bits: int = 8, colours: int = 3) -> bytes:
    """A JPEG up to its frame header."""
    frame = struct.pack(">HBHHB", 8 + 3 * colours, bits, 16, 16, colours) + bytes(3 * colours)
    return b"\xff\xd8\xff\xe0\x00\x04ab\xff" + bytes([marker]) + frame


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"%PDF-1.7", "it is a PDF. Save its pages as PNG or JPEG and add those"),
        (b"\xff\x0a\x00", "it is a JPEG XL picture. Save it as JPEG or PNG"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "it is a JPEG 2000 picture. Save it as JPEG or PNG"),
        (jpeg(0xC1, bits=12), "it is a 12-bit JPEG. Save it as an 8-bit JPEG, or as 16-bit PNG or TIFF"),
        (jpeg(0xC3), "it is a lossless JPEG. Save it as JPEG or PNG"),
        (jpeg(0xF7), "it is a JPEG-LS picture. Save it as JPEG or PNG"),
        (b"\x00\x00\x00\x18ftypisom", "it is a video. Save single frames as JPEG or PNG"),
        (b"\x1a\x45\xdf\xa3webm", "it is a video. Save single frames as JPEG or PNG"),
        (b"\x00" * 128 + b"DICM", "it is a DICOM file. Save each picture in it as PNG"),
        (zipped("xl/workbook.xml"), "it is an Excel workbook. If it holds labels, save the table as CSV and add that"),
        (zipped("word/document.xml"), "it is a Word document. Save the pictures in it as files and add those"),
        (
            zipped(mimetype=b"application/vnd.oasis.opendocument.spreadsheet"),
            "it is a LibreOffice table. If it holds labels, save the table as CSV and add that",
        ),
        (zipped("a.png"), "it is a zip archive. Add it as an archive, or unpack it and add the pictures"),
        (b"PK\x03\x04rest", "it is a damaged zip archive. Make it once more, or add the pictures themselves"),
        (b"\x00\x00\x00\x18ftypheic", "it is a damaged HEIC picture. Save it once more, as JPEG or PNG"),
        (b"\x00\x00\x00\x18ftypavif", "it is a damaged AVIF picture. Save it once more, as JPEG or PNG"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "it is a Git LFS pointer, not the picture itself. Fetch the pictures with: git lfs pull",
        ),
        (b"<svg xmlns=''>", "it is an SVG drawing or another XML file. Save the drawing as PNG"),
        (b"<!DOCTYPE html><p>", "it is a web page, not a picture. Save the picture itself from that page"),
        ("schön".encode(), "it is a text, not a picture"),
        ("schön".encode("utf-16"), "it is a text, not a picture"),
        (bytes(100), "it is full of zeros, as failed copies leave behind. Copy or download it once more"),
        (b"\0\0\x02\0\0\0\0\0", "it is a TGA picture. Save it as JPEG or PNG"),
        (b'{"a": 1}', "it is a JSON file, not a picture"),
        (b"\xff\x00\xfe", "it is of an unknown kind. Save it as JPEG or PNG"),
    ],
)
def test_what_is_no_picture_is_named_with_what_to_do(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage) as refusal:
        decode(content)

    assert refusal.value.message == reason


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x00\x00\x00\x18ftypcrx ", "Canon CR3"),
        (b"FUJIFILMCCD-RAW 0201", "Fujifilm RAF"),
        (b"IIRO\x08\0\0\0", "Olympus ORF"),
        (b"IIU\0\x18\0\0\0", "Panasonic RW2"),
    ],
)
def test_raw_files_of_cameras_are_named_as_such(content: bytes, name: str) -> None:
    with pytest.raises(UnreadableImage) as refusal:
        decode(content)

    assert refusal.value.message.startswith(f"it is a camera's raw file ({name}). Develop it into a JPEG or TIFF")
