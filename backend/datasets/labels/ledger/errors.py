"""What can go wrong with changes of labels."""

from collections.abc import Sequence
from datetime import datetime

from backend.domain.errors import Conflict, InvalidInput, NotFound


class PicturesUnknown(NotFound):
    """Changes name pictures that the dataset doesn't have."""

    code = "image-not-found"

    def __init__(self, ids: Sequence[str]) -> None:
        one = len(ids) == 1
        super().__init__(
            f"{'1 of the pictures is' if one else f'{len(ids):,} of the pictures are'} not in this dataset (any more). "
            "No label was changed.",
            advice="Load the page again; your program should ask for the list of pictures again.",
            details={"image_ids": [*ids[:100]]},
        )


class EmptyLabel(InvalidInput):
    """A label has nothing that can be seen."""

    code = "label-empty"

    def __init__(self) -> None:
        super().__init__(
            "A label needs at least one letter, digit or sign.",
            advice="Type a name; to take a picture out of the training, leave it out (null).",
        )


class LabelChanged(Conflict):
    """Somebody else has changed a label since the caller saw it."""

    code = "label-changed"

    def __init__(self, image_id: str, label: str | None, who: str | None, when: datetime | None) -> None:
        by = f"{who} has changed" if who else "Somebody has changed"
        now = f"to “{label}”" if label is not None else "so that it has no label"
        super().__init__(
            f"{by} this picture {now} in the meantime.",
            advice="Keep that label, or send yours again without “before”.",
            details={
                "image_id": image_id,
                "label": label,
                "who": who,
                "changed_at": when.isoformat() if when else None,
            },
        )


class NothingToUndo(Conflict):
    """No change of labels counts at present."""

    code = "nothing-to-undo"

    def __init__(self) -> None:
        super().__init__("There is no change of labels to undo.")


class NothingToRedo(Conflict):
    """No change was undone last."""

    code = "nothing-to-redo"

    def __init__(self) -> None:
        super().__init__("There is no undone change of labels to bring back.")


class BatchNotFound(NotFound):
    """No such action."""

    code = "label-batch-not-found"

    def __init__(self) -> None:
        super().__init__("There is no such change of labels in this dataset.")


class ClassesUnknown(InvalidInput):
    """Classes that no picture has at present."""

    code = "class-unknown"

    def __init__(self, names: Sequence[str]) -> None:
        shown = ", ".join(f"“{name[:60]}”" for name in names[:3])
        super().__init__(
            f"No picture is labelled {shown} at present.",
            advice="Load the page again: somebody may have renamed it.",
            details={"classes": [*names[:100]]},
        )
