"""The random changes of training pictures as an address has them: names and limits are those of ``Augmentation``."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import ValidationError

from backend.datasets.versions import drawn_kind
from backend.dependencies import ReadDep
from backend.domain.drawn import usual_augmentation
from backend.domain.errors import InvalidInput
from backend.domain.training import Augmentation


class ChangesUnusable(InvalidInput):
    """A random change is out of its range."""

    code = "augmentation-invalid"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"“{name}” can't be used: {reason}.",
            advice="Each of these is described with its range in the API pages, under the settings of a training.",
            details={"field": name},
        )


@dataclass(frozen=True, slots=True)
class Changes:
    """Random changes, and which of them aren't the usual ones, as they are written in an address."""

    augmentation: Augmentation
    own: dict[str, str]


def _changes(
    session: ReadDep,
    version_id: str,
    flip: Annotated[bool | None, Query(description="Mirrored left to right, half of the time.")] = None,
    flip_vertical: Annotated[bool | None, Query(description="Upside down, half of the time.")] = None,
    max_rotate: Annotated[float | None, Query(description="Degrees.")] = None,
    min_zoom: float | None = None,
    max_zoom: float | None = None,
    max_lighting: Annotated[float | None, Query(description="The largest change of brightness and contrast.")] = None,
    max_warp: Annotated[float | None, Query(description="The largest change of perspective.")] = None,
    p_affine: Annotated[float | None, Query(description="How often it is rotated, zoomed or warped.")] = None,
    p_lighting: Annotated[float | None, Query(description="How often brightness and contrast change.")] = None,
) -> Changes:
    given = {"flip": flip, "flip_vertical": flip_vertical, "max_rotate": max_rotate, "min_zoom": min_zoom}
    given |= {"max_zoom": max_zoom, "max_lighting": max_lighting, "max_warp": max_warp}
    given |= {"p_affine": p_affine, "p_lighting": p_lighting}
    usual = usual_augmentation(drawn_kind(session, version_id))
    return changes_of({name: value for name, value in given.items() if value is not None}, usual)


def changes_of(given: dict[str, Any], usual: Augmentation) -> Changes:  # Any: checked by pydantic
    """Random changes of which some are given and the others are as usual for such pictures.

    Raises:
        ChangesUnusable
    """
    try:
        augmentation = Augmentation.model_validate(usual.model_dump() | given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "min_zoom"
        raise ChangesUnusable(name, first["msg"].removeprefix("Value error, ").rstrip(".").lower()) from error
    own = {name: _text(value) for name, value in augmentation.model_dump().items() if value != getattr(usual, name)}
    return Changes(augmentation, own)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


ChangesDep = Annotated[Changes, Depends(_changes)]
"""The random changes that a request's address asks for; what it leaves out is as usual."""
