"""What a file is that isn't read as a picture, and what to do about it. Found from its first bytes."""

import io
import zipfile
from typing import Final

from backend.imaging.tiff import RAW_ADVICE

_AS_PICTURE: Final = "Save it as JPEG or PNG"
_PAGES: Final = "Save its pages as PNG or JPEG and add those"
_TABLE: Final = "If it holds labels, save the table as CSV and add that"
_MEDICAL: Final = "Save each picture in it as PNG"
_STILLS: Final = "Save single frames as JPEG or PNG"
_AS_SOUND: Final = "Save the sound as WAV, FLAC, MP3 or Ogg"
_UNPACK: Final = "Add it as an archive, or unpack it and add the pictures"

_SIGNATURES: Final[tuple[tuple[int, bytes, str, str], ...]] = (
    (0, b"\xff\x0a", "a JPEG XL picture", _AS_PICTURE),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture", _AS_PICTURE),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture", _AS_PICTURE),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture", _AS_PICTURE),
    (0, b"II\xbc", "a JPEG XR picture", _AS_PICTURE),
    (0, b"8BPS", "a Photoshop file", _AS_PICTURE),
    (0, b"gimp xcf", "a GIMP file", "Export it as PNG or JPEG"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR picture", "Save it as an 8-bit or 16-bit PNG or TIFF"),
    (0, b"#?RADIANCE", "a Radiance HDR picture", _AS_PICTURE),
    (0, b"#?RGBE", "a Radiance HDR picture", _AS_PICTURE),
    (0, b"qoif", "a QOI picture", _AS_PICTURE),
    (0, b"DDS ", "a DirectDraw texture", _AS_PICTURE),
    (0, b"BPG\xfb", "a BPG picture", _AS_PICTURE),
    (0, b"FLIF", "a FLIF picture", _AS_PICTURE),
    (0, b"AT&TFORM", "a DjVu document", _PAGES),
    (0, b"\x8aMNG", "an MNG animation", _STILLS),
    (0, b"\0\0\x01\0", "an icon", _AS_PICTURE),
    (0, b"\0\0\x02\0\0\0", "a TGA picture", _AS_PICTURE),
    (0, b"\0\0\x0a\0\0\0", "a TGA picture", _AS_PICTURE),
    (0, b"\0\0\x02\0", "a mouse cursor", _AS_PICTURE),
    (0, b"icns", "an icon of macOS", _AS_PICTURE),
    (0, b"\x0a\x05\x01", "a PCX picture", _AS_PICTURE),
    (0, b"\x01\xda", "an SGI picture", _AS_PICTURE),
    (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile", _AS_PICTURE),
    (0, b"SIMPLE  =", "a FITS picture", _MEDICAL),
    (0, b"n+1\0", "a NIfTI volume", _MEDICAL),
    (344, b"n+1\0", "a NIfTI volume", _MEDICAL),
    (344, b"ni1\0", "a NIfTI volume", _MEDICAL),
    (128, b"DICM", "a DICOM file", _MEDICAL),
    (0, b"\x89HDF", "an HDF5 file", _MEDICAL),
    (0, b"\x93NUMPY", "a NumPy array", _MEDICAL),
    (0, b"MATLAB 5.0", "a MATLAB file", _MEDICAL),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file (Fujifilm RAF)", RAW_ADVICE),
    (0, b"IIRO", "a camera's raw file (Olympus ORF)", RAW_ADVICE),
    (0, b"IIRS", "a camera's raw file (Olympus ORF)", RAW_ADVICE),
    (0, b"MMOR", "a camera's raw file (Olympus ORF)", RAW_ADVICE),
    (0, b"IIU\0", "a camera's raw file (Panasonic RW2)", RAW_ADVICE),
    (0, b"\0MRM", "a camera's raw file (Minolta MRW)", RAW_ADVICE),
    (0, b"FOVb", "a camera's raw file (Sigma X3F)", RAW_ADVICE),
    (6, b"HEAPCCDR", "a camera's raw file (Canon CRW)", RAW_ADVICE),
    (4, b"ftypcrx", "a camera's raw file (Canon CR3)", RAW_ADVICE),
    (4, b"ftypavi", "a damaged AVIF picture", "Save it once more, as JPEG or PNG"),
    (4, b"ftyphei", "a damaged HEIC picture", "Save it once more, as JPEG or PNG"),
    (4, b"ftyphev", "a HEIC sequence", _AS_PICTURE),
    (4, b"ftypmif1", "a damaged HEIC picture", "Save it once more, as JPEG or PNG"),
    (4, b"ftypmsf1", "a HEIC sequence", _AS_PICTURE),
    (4, b"ftypM4A", "an M4A sound", _AS_SOUND),
    (4, b"ftypjxl", "a JPEG XL picture", _AS_PICTURE),
    (4, b"ftypjp2", "a JPEG 2000 picture", _AS_PICTURE),
    (4, b"ftyp", "a video", _STILLS),
    (4, b"moov", "a video", _STILLS),
    (4, b"mdat", "a video", _STILLS),
    (0, b"\x1a\x45\xdf\xa3", "a video", _STILLS),
    (8, b"AVI LIST", "a video", _STILLS),
    (0, b"\0\0\x01\xba", "a video", _STILLS),
    (0, b"\0\0\x01\xb3", "a video", _STILLS),
    (0, b"FLV\x01", "a video", _STILLS),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a video", _STILLS),
    (0, b"\xff\xf1", "an AAC sound", _AS_SOUND),
    (0, b"\xff\xf9", "an AAC sound", _AS_SOUND),
    (0, b"FORM", "an AIFF sound or another IFF file", _AS_SOUND),
    (0, b"MThd", "a MIDI file", _AS_SOUND),
    (0, b"#!AMR", "an AMR sound", _AS_SOUND),
    (0, b"caff", "a sound of macOS (CAF)", _AS_SOUND),
    (0, b"%PDF", "a PDF", _PAGES),
    (0, b"%!PS", "a PostScript file", _PAGES),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript file", _PAGES),
    (0, b"{\\rtf", "a text document", ""),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document, such as Excel .xls or Word .doc", _TABLE),
    (0, b"SQLite format 3\0", "a database", _TABLE),
    (0, b"PAR1", "a Parquet table", _TABLE),
    (0, b"ARROW1", "an Arrow table", _TABLE),
    (0, b"\x1f\x8b", "a gzip file", _UNPACK),
    (0, b"BZh", "a bzip2 file", _UNPACK),
    (0, b"\xfd7zXZ\0", "an xz file", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it and add the pictures"),
    (0, b"Rar!\x1a\x07", "a RAR archive", "Unpack it and add the pictures"),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"\0\x05\x16\x07", "a helper file that macOS leaves beside pictures", "Leave it out"),
    (0, b"bplist", "a settings file of macOS", "Leave it out"),
    (0, b"MZ", "a Windows program", ""),
    (0, b"\x7fELF", "a program", ""),
    (
        0,
        b"version https://git-lfs",
        "a Git LFS pointer, not the picture itself",
        "Fetch the pictures with: git lfs pull",
    ),
    (0, b"P1\n", "a Netpbm picture", _AS_PICTURE),
    (0, b"P2\n", "a Netpbm picture", _AS_PICTURE),
    (0, b"P3\n", "a Netpbm picture", _AS_PICTURE),
    (0, b"P4\n", "a Netpbm picture", _AS_PICTURE),
    (0, b"P5\n", "a Netpbm picture", _AS_PICTURE),
    (0, b"P6\n", "a Netpbm picture", _AS_PICTURE),
    (0, b"P7\n", "a Netpbm picture", _AS_PICTURE),
    (0, b"Pf\n", "a Netpbm picture", _AS_PICTURE),
    (0, b"PF\n", "a Netpbm picture", _AS_PICTURE),
)

_IN_ZIP: Final = (
    ("xl/", "an Excel workbook", _TABLE),
    ("word/", "a Word document", "Save the pictures in it as files and add those"),
    ("ppt/", "a PowerPoint file", "Save its slides as PNG or JPEG and add those"),
)
_OPEN_DOCUMENTS: Final = {
    b"application/vnd.oasis.opendocument.spreadsheet": ("a LibreOffice table", _TABLE),
    b"application/vnd.oasis.opendocument.text": (
        "a LibreOffice document",
        "Save the pictures in it as files and add those",
    ),
    b"application/epub+zip": ("an electronic book", ""),
    b"image/openraster": ("an OpenRaster picture", _AS_PICTURE),
}


def named(content: bytes) -> str:
    """What these bytes are and what to do, as a reason that follows “because”: “it is a PDF. Save …”."""
    return worded(*_found(content))


def worded(what: str, advice: str) -> str:
    """The two as a reason."""
    return f"it is {what}. {advice}".rstrip(" .")


def _found(content: bytes) -> tuple[str, str]:
    for start, signature, what, advice in _SIGNATURES:
        if content.startswith(signature, start):
            return what, advice
    if content.startswith(b"PK\x03\x04") or content.startswith(b"PK\x05\x06"):
        return _in_zip(content)
    if content.startswith(b"\xff\xd8\xff"):
        return rare_jpeg(content) or ("a damaged JPEG file", "Bring it once more from where it came from")
    for signature, format in ((b"\x89PNG", "PNG"), (b"GIF8", "GIF"), (b"BM", "BMP"), (b"RIFF", "WebP")):
        if content.startswith(signature):
            return f"a damaged {format} file", "Bring it once more from where it came from"
    return _text(content[:512])


def _in_zip(content: bytes) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()[:1000]
            kind = archive.open("mimetype").read(100).strip() if "mimetype" in names else b""
    except (zipfile.BadZipFile, OSError, KeyError, ValueError, NotImplementedError, RuntimeError):
        return "a damaged zip archive", "Make it once more, or add the pictures themselves"
    if kind in _OPEN_DOCUMENTS:
        return _OPEN_DOCUMENTS[kind]
    for folder, what, advice in _IN_ZIP:
        if any(name.startswith(folder) for name in names):
            return what, advice
    return "a zip archive", _UNPACK


def rare_jpeg(content: bytes) -> tuple[str, str] | None:
    """A JPEG of a kind that isn't read, by its frame header, and what to do; None for others."""
    at = 2
    while at + 9 < len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == 0xF7:
            return "a JPEG-LS picture", _AS_PICTURE
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, colours = content[at + 4], content[at + 9]
            if bits != 8:
                return f"a {bits}-bit JPEG", "Save it as an 8-bit JPEG, or as 16-bit PNG or TIFF"
            if marker in (0xC3, 0xC7, 0xCB, 0xCF):
                return "a lossless JPEG", _AS_PICTURE
            if colours not in (1, 3, 4):
                return f"a JPEG of {colours} channels", _AS_PICTURE
            break
        at += 1 if marker == 0xFF else 2 + length
    return None


def _text(head: bytes) -> tuple[str, str]:
    if head and not head.strip(b"\0"):
        return "full of zeros, as failed copies leave behind", "Copy or download it once more"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) and b"\0" in head:
        return "a text, not a picture", ""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page, not a picture", "Save the picture itself from that page"
    if start.startswith((b"<svg", b"<?xml")):
        return "an SVG drawing or another XML file", "Save the drawing as PNG"
    if not head or not _is_text(head):
        return "of an unknown kind", _AS_PICTURE
    if start.startswith((b"{", b"[")):
        return "a JSON file, not a picture", ""
    return "a text, not a picture", ""


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"  # a letter cut in half at the end
    return b"\x00" not in head
