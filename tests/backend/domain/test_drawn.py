from backend.domain.drawn import Drawn, caution_about, most_are, usual_augmentation, with_usual_augmentation
from backend.domain.training import Augmentation, TrainingRequest


def test_sounds_are_neither_mirrored_nor_rotated_nor_tilted() -> None:
    request = with_usual_augmentation(TrainingRequest(), Drawn.SOUND)

    assert request.augmentation == Augmentation(flip=False, flip_vertical=False, max_rotate=0, max_warp=0)


def test_what_was_asked_for_stays() -> None:
    asked = TrainingRequest(augmentation=Augmentation(flip=True, max_lighting=0.1))

    request = with_usual_augmentation(asked, Drawn.SOUND)

    assert request.augmentation == Augmentation(flip=True, max_rotate=0, max_warp=0, max_lighting=0.1)


def test_pictures_keep_their_changes() -> None:
    assert with_usual_augmentation(TrainingRequest(), None) == TrainingRequest()
    assert usual_augmentation(None) == Augmentation()


def test_it_is_said_that_changes_are_off_unless_somebody_set_them() -> None:
    (caution,) = caution_about(Drawn.SOUND, usual_augmentation(Drawn.SOUND))

    assert caution.code == "drawn-sounds"
    assert caution.message.startswith("These pictures are drawn from sounds. Mirroring, rotation and tilt are off")
    assert caution_about(Drawn.SOUND, Augmentation()) == ()
    assert caution_about(None, Augmentation()) == ()


def test_most_decide() -> None:
    assert most_are([Drawn.SOUND, Drawn.SOUND, None]) is Drawn.SOUND
    assert most_are([Drawn.TRACK, None]) is None
    assert most_are([]) is None
