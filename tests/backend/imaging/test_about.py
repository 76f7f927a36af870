"""What a file says of itself, as short plain text."""

import io

import pytest
from PIL import ExifTags, Image, PngImagePlugin

from backend.imaging.about import about
from backend.imaging.errors import UnreadableImage


def jpeg(**fields: object) -> bytes:
    image = Image.new("RGB", (40, 30))
    exif = Image.Exif()
    details = {
        name: value for name, value in fields.items() if name not in ("Make", "Model", "Orientation", "Software")
    }
    for name, value in fields.items():
        if name not in details:
            exif[ExifTags.Base[name]] = value
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base[name]: value for name, value in details.items()})
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    return file.getvalue()


def test_it_reads_what_the_camera_wrote() -> None:
    found = about(
        jpeg(
            Make="Canon",
            Model="EOS 5D",
            Orientation=6,
            DateTimeOriginal="2019:05:01 10:11:12",
            FNumber=2.8,
            ExposureTime=0.004,
            FocalLength=50.0,
            ISOSpeedRatings=200,
        )
    )

    assert found.exif == (
        ("Camera", "Canon EOS 5D"),
        ("Taken", "2019:05:01 10:11:12"),
        ("Exposure", "1/250 s"),
        ("Aperture", "f/2.8"),
        ("Focal length", "50 mm"),
        ("Sensitivity", "ISO 200"),
    )
    assert (found.colours, found.stored, found.turned, found.has_place) == (
        "colours (RGB)",
        (40, 30),
        "on its side",
        False,
    )


def test_a_text_is_kept_short_and_plain_and_nothing_else_is_read() -> None:
    found = about(jpeg(Model="<script>\n\x00alert(1)</script>" + "x" * 1_000_0, Software="a\tb", UserComment=b"secret"))

    camera = dict(found.exif)["Camera"]
    assert camera.startswith("<script> alert(1)</script>xxx")
    assert len(camera) == 120
    assert dict(found.exif) == {"Camera": camera, "Software": "a b"}


def test_of_a_place_it_says_only_that_there_is_one() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (52.0, 31.0, 12.0)})
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "JPEG", exif=exif)

    found = about(file.getvalue())

    assert (found.has_place, found.exif, found.colours) == (True, (), "greys")


def test_text_beside_the_picture_is_not_read() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "<script>")
    file = io.BytesIO()
    Image.new("P", (8, 8)).save(file, "PNG", pnginfo=text)

    found = about(file.getvalue())

    assert (found.exif, found.colours) == ((), "a palette of colours")


def test_damaged_exif_costs_only_itself() -> None:
    content = jpeg(Make="Canon")
    at = content.index(b"Exif\x00\x00") + 6

    found = about(content[:at] + b"\xff" * 12 + content[at + 12 :])

    assert (found.exif, found.stored) == ((), (40, 30))


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(UnreadableImage):
        about(b"%PDF-1.7")
