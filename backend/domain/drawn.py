"""What a dataset's pictures were drawn from, and what that means for their random changes in training."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from backend.domain.cautions import Caution
from backend.domain.training import OF_SOUNDS, OF_TRACKS, Augmentation, TrainingRequest


class Drawn(StrEnum):
    """What pictures were drawn from."""

    SOUND = "sound"
    TRACK = "track"


_USUAL: Final = {Drawn.SOUND: OF_SOUNDS, Drawn.TRACK: OF_TRACKS}
_WORDS: Final = {
    Drawn.SOUND: "These pictures are drawn from sounds. Mirroring, rotation and tilt are off unless you set them: "
    "they would mix up time and pitch.",
    Drawn.TRACK: "These pictures are drawn from movements. Mirroring is off unless you set it: a mirrored movement "
    "is another one.",
}


def most_are(kinds: Iterable[Drawn | None]) -> Drawn | None:
    """What more than half of some pictures were drawn from; None where they are pictures."""
    counts = Counter(kinds)
    return next((kind for kind in Drawn if 2 * counts[kind] > counts.total()), None)


def usual_augmentation(drawn: Drawn | None) -> Augmentation:
    """The random changes that suit such pictures."""
    return _USUAL[drawn] if drawn else Augmentation()


def with_usual_augmentation(request: TrainingRequest, drawn: Drawn | None) -> TrainingRequest:
    """A request whose random changes, as far as it leaves them open, suit what its pictures were drawn from."""
    if drawn is None:
        return request
    asked = request.augmentation.model_dump(exclude_unset=True) if request.augmentation else {}
    changes = Augmentation.model_validate({**usual_augmentation(drawn).model_dump(), **asked})
    return request.model_copy(update={"augmentation": changes})


def caution_about(drawn: Drawn | None, augmentation: Augmentation) -> tuple[Caution, ...]:
    """A word on the random changes that are off, unless they were asked for."""
    if drawn is None or augmentation != _USUAL[drawn]:
        return ()
    return (Caution(f"drawn-{drawn.value}s", _WORDS[drawn]),)
