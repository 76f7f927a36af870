"""Flags of pictures by size, names, measures and copies; filters and lists use the same conditions."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Text, and_, cast, exists, func, not_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, aliased
from sqlalchemy.orm.util import AliasedClass

from backend.datasets.pictures.limits import (
    BLANK_CONTRAST,
    BLANK_ENTROPY,
    BLURRED_SHARPNESS,
    DARK_LIGHT,
    ENDINGS,
    HUGE_PIXELS,
    LIGHT_DARK,
    ODD_ASPECT,
    TINY_SIDE,
)
from backend.tables.datasets import ImagePathRow, ImageRow
from backend.tables.examination import ImageMeasuresRow, ImagePairRow


def looked_up(
    query: Select[tuple[int]], row: type[Any] | AliasedClass[Any]
) -> ColumnElement[bool]:  # Any: the class of any table
    """Whether ``query`` finds anything for a row, looked up for each row by itself.

    PostgreSQL would rather turn it into a join or a table in memory, which reads whole tables: right for all pictures
    of a dataset, wrong for the few on a page, whose end it doesn't foresee. An offset, also of 0, keeps it from that.
    """
    return exists(query.correlate(row).limit(1).offset(0))


def _has_wrong_ending() -> ColumnElement[bool]:
    name = func.lower(ImageRow.path)
    return or_(
        *(
            and_(func.upper(ImageRow.format) == format, ~or_(*(name.endswith(ending) for ending in endings)))
            for format, endings in ENDINGS.items()
        )
    )


def _has_several_names() -> ColumnElement[bool]:
    names = select(func.count()).where(ImagePathRow.image_id == ImageRow.id).correlate(ImageRow).scalar_subquery()
    return names > 1


def _has_note(code: str) -> ColumnElement[bool]:
    # Both databases keep JSON as text.
    return cast(ImageRow.notes, Text).contains(f'"{code}"', autoescape=True)


def _is_measured(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    of_image = ImageMeasuresRow.image_id == ImageRow.id
    return looked_up(select(1).where(of_image, condition), ImageRow)


def _is_paired(*kinds: str) -> ColumnElement[bool]:
    """Two subqueries, each with an index of its own: an OR of both columns would have none."""

    def paired(column: InstrumentedAttribute[str], other: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        partner = aliased(ImageRow)
        query = select(1).select_from(ImagePairRow).join(partner, partner.id == other)
        query = query.where(column == ImageRow.id, ImagePairRow.kind.in_(kinds), ~partner.is_deleted)
        return looked_up(query, ImageRow)

    return or_(
        paired(ImagePairRow.first_id, ImagePairRow.second_id), paired(ImagePairRow.second_id, ImagePairRow.first_id)
    )


_BLANK: Final = or_(  # as ``health.quality`` has it
    ImageMeasuresRow.entropy < BLANK_ENTROPY,
    and_(
        ImageMeasuresRow.light >= DARK_LIGHT,
        ImageMeasuresRow.dark <= LIGHT_DARK,
        ImageMeasuresRow.light - ImageMeasuresRow.dark < BLANK_CONTRAST,
    ),
)
MEASURED: Final[Mapping[str, ColumnElement[bool]]] = {
    "blank": _BLANK,
    "blurred": and_(ImageMeasuresRow.sharpness < BLURRED_SHARPNESS, not_(_BLANK)),
    "dark": and_(ImageMeasuresRow.light < DARK_LIGHT, not_(_BLANK)),
    "light": and_(ImageMeasuresRow.dark > LIGHT_DARK, not_(_BLANK)),
}
"""Flags that follow from measures, as conditions on these."""
_WIDTH, _HEIGHT = ImageRow.width, ImageRow.height
FLAGS: Final[Mapping[str, ColumnElement[bool]]] = {
    # The same bytes came under several names, or other bytes with the same pixels.
    "exact_duplicate": or_(_has_several_names(), _is_paired("same-pixels")),
    "near_duplicate": _is_paired("same-picture"),
    "moment": _is_paired("same-moment"),
    **{flag: _is_measured(condition) for flag, condition in MEASURED.items()},
    "tiny": or_(_WIDTH < TINY_SIDE, _HEIGHT < TINY_SIDE),
    "huge": _WIDTH * _HEIGHT > HUGE_PIXELS,
    "odd_aspect": or_(_WIDTH > ODD_ASPECT * _HEIGHT, _HEIGHT > ODD_ASPECT * _WIDTH),
    "wrong_extension": _has_wrong_ending(),
    # Said when the picture was read (``backend.imaging``).
    "pages_left_out": _has_note("pages-left-out"),
    "frames_left_out": _has_note("frames-left-out"),
    "levels_nearly_unused": _has_note("levels-nearly-unused"),
    "levels_half_unused": _has_note("levels-half-unused"),
    "drawn_sound": _has_note("drawn-sound"),
    "drawn_track": _has_note("drawn-track"),
    "sound_cut": _has_note("sound-cut"),
    "sound_silent": _has_note("sound-silent"),
    "track_cut": _has_note("track-cut"),
}

FLAG_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "exact_duplicate": ("Exact copies", "The same file came under several names, or another file has the same pixels."),
    "near_duplicate": ("Near copies", "Another picture shows the same, resized, saved anew, cropped or mirrored."),
    "moment": ("Taken moments apart", "Another picture was taken moments before or after it."),
    "blank": ("Nearly blank", "It shows hardly anything: one even area."),
    "blurred": ("Blurred", "It has no sharp edges."),
    "dark": ("Nearly black", "Even its brightest parts are dark."),
    "light": ("Nearly white", "Even its darkest parts are light."),
    "tiny": ("Very small", f"One side has fewer than {TINY_SIDE} pixels, so the network sees mostly blur."),
    "huge": ("Very large", f"It has more than {HUGE_PIXELS // 10**6} million pixels, which takes long to read."),
    "odd_aspect": (
        "Very long or very wide",
        f"One side is more than {ODD_ASPECT} times as long as the other; the network sees only a part of it.",
    ),
    "wrong_extension": (
        "Name ends in another format",
        "Its name ends as that of another format. It is read all the same.",
    ),
    "pages_left_out": ("Pages left out", "It has several pages; only the first is used."),
    "frames_left_out": ("Frames left out", "It is an animation; only its first frame is used."),
    "levels_nearly_unused": (
        "Range hardly used",
        "It uses a small part of its range of brightness, so it looks nearly black.",
    ),
    "levels_half_unused": ("Washed out", "It uses only half of its range of brightness, so it looks washed out."),
    "drawn_sound": ("Drawn from a sound", "It shows a sound: time to the right, pitch upwards."),
    "drawn_track": ("Drawn from a movement", "It shows a movement as a line."),
    "sound_cut": ("Only its beginning", "Of a long sound only the beginning is used."),
    "sound_silent": ("Nearly silent", "The sound is nearly silent, so there is hardly anything to see."),
    "track_cut": ("Only its beginning", "Of a long movement only the beginning is used."),
}
"""A flag in a few words, and what it means."""
