"""Step 3: pictures exactly as the network will get them, random changes to try, and how many pictures a class has."""

import secrets
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from backend.datasets.context import dataset_context
from backend.datasets.labels.version_view import version_lines
from backend.datasets.look.balance import balance_of
from backend.datasets.look.batch import BatchItem, batch, view_of
from backend.datasets.look.changes import Changes, ChangesDep
from backend.datasets.urls import batch_image_url, thumbnail_url
from backend.datasets.versions import drawn_kind, find_version
from backend.dependencies import ReadDep
from backend.domain.drawn import caution_about
from backend.domain.training import Augmentation
from backend.journey.steps import StepName
from backend.templating import page

router = APIRouter(include_in_schema=False)

IMAGE_SIZE: Final = 224
SHOWN: Final = 9
SLIDERS: Final = (
    # name, words, unit, least, most, step
    ("max_rotate", "Rotation", "°", 0, 45, 1),
    ("min_zoom", "Zoom out", "×", 0.5, 1, 0.05),
    ("max_zoom", "Zoom in", "×", 1, 2, 0.05),
    ("max_lighting", "Brightness and contrast", "", 0, 0.8, 0.05),
    ("max_warp", "Perspective", "", 0, 0.6, 0.05),
)
"""What the page has sliders for; further changes, and larger ones, are set in the address and the train form."""


@router.get("/versions/{version_id}")
def look(
    request: Request,
    session: ReadDep,
    version_id: str,
    changes: ChangesDep,
    seed: Annotated[int | None, Query(ge=0, le=2**53 - 1)] = None,
    augmented: Annotated[list[str] | None, Query(max_length=2)] = None,
) -> Response:
    """Nine pictures exactly as the network gets them."""
    version = find_version(session, version_id)
    # A box that isn't ticked sends nothing, so the form sends “false” along with every answer.
    is_augmented = augmented is None or "true" in augmented
    used = secrets.randbelow(10**6) if seed is None else seed
    shown = [_shown(version_id, item, changes, is_augmented) for item in batch(session, version_id, n=SHOWN, seed=used)]
    return page(
        request,
        "datasets/look.html",
        **dataset_context(session, version.dataset_id, StepName.LOOK),
        version=version,
        seed=used,
        augmented=is_augmented,
        image_size=IMAGE_SIZE,
        batch=shown,
        sliders=[_slider(changes.augmentation, *slider) for slider in SLIDERS],
        flips=[
            ("flip", "Mirror left and right", changes.augmentation.flip),
            ("flip_vertical", "Mirror top and bottom", changes.augmentation.flip_vertical),
        ],
        own=changes.own,
        versions=version_lines(session, version.dataset_id, of=version.id),
        balance=balance_of(version.classes, version.counts),
        drawn_words=[
            caution.message for caution in caution_about(drawn_kind(session, version_id), changes.augmentation)
        ],
    )


def _shown(
    version_id: str, item: BatchItem, changes: Changes, is_augmented: bool
) -> dict[str, Any]:  # Any: the template's context
    corners = view_of(item, changes.augmentation if is_augmented else None, IMAGE_SIZE)
    return {
        "label": item.label,
        "url": batch_image_url(
            version_id,
            item.image_id,
            seed=item.seed,
            augmented=is_augmented,
            size=IMAGE_SIZE,
            changes=changes.own,
        ),
        "whole": thumbnail_url(item.image_id, 768, item.digest),
        "width": item.width,
        "height": item.height,
        # In the picture's own pixels, as the drawing over it counts.
        "outline": " ".join(f"{x * item.width:.1f},{y * item.height:.1f}" for x, y in corners),
    }


def _slider(
    augmentation: Augmentation, name: str, words: str, unit: str, least: float, most: float, step: float
) -> dict[str, Any]:  # Any: as above
    value = getattr(augmentation, name)
    limits = {"min": f"{min(least, value):g}", "max": f"{max(most, value):g}", "step": f"{step:g}"}
    return {"name": name, "words": words, "unit": unit, "value": f"{value:g}", "limits": limits}
