import io

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from backend.imaging.decoding import decode
from backend.imaging.thumbnails import media_type_of, small_copies, thumbnail_file


def test_it_fits_an_image_into_both_sizes() -> None:
    copies = small_copies(Image.new("RGB", (2000, 1000)))
    files = {side: thumbnail_file(copy) for side, copy in copies.items()}

    small = {side: Image.open(io.BytesIO(file)) for side, file in files.items()}

    assert {side: (image.format, image.size) for side, image in small.items()} == {
        192: ("JPEG", (192, 96)),
        768: ("JPEG", (768, 384)),
    }


def test_it_never_makes_an_image_larger() -> None:
    assert Image.open(io.BytesIO(thumbnail_file(small_copies(Image.new("RGB", (8, 8)))[192]))).size == (8, 8)


def test_a_picture_of_few_pixels_is_webp() -> None:
    content = thumbnail_file(small_copies(Image.new("RGB", (28, 28)))[192])

    assert (Image.open(io.BytesIO(content)).format, media_type_of(content)) == ("WEBP", "image/webp")


def test_a_picture_of_a_few_more_is_a_jpeg_without_coarser_colours() -> None:
    picture = Image.open(io.BytesIO(thumbnail_file(small_copies(Image.new("RGB", (180, 96)))[192])))

    assert (picture.format, picture.size) == ("JPEG", (180, 96))
    assert [layer[1:3] for layer in picture.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]  # of JPEG files only


def test_it_carries_nothing_but_pixels() -> None:
    notes = PngInfo()
    notes.add_text("Comment", "<script>alert(1)</script>")
    file = io.BytesIO()
    Image.new("RGB", (30, 30)).save(file, "PNG", pnginfo=notes, icc_profile=b"profile", exif=b"Exif\0\0secret")

    _, image = decode(file.getvalue())

    for small in map(thumbnail_file, small_copies(image).values()):
        assert b"script" not in small
        assert b"profile" not in small
        assert b"secret" not in small
