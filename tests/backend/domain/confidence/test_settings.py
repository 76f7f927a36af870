"""What becomes of a picture by what was chosen."""

import numpy as np
import pytest

from backend.domain.confidence.settings import ConfidenceSettings, Verdict, sentence_of

RANKED = [("Ragdoll", 0.7), ("Birman", 0.2), ("Siamese", 0.1)]


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [(0.7, 0.2, Verdict.ANSWERED), (0.49, 0.1, Verdict.NOT_SURE), (0.55, 0.45, Verdict.NOT_SURE)],
)
def test_without_a_threshold_a_small_or_close_first_class_is_not_sure(
    first: float, second: float, verdict: Verdict
) -> None:
    assert ConfidenceSettings().verdict([("a", first), ("b", second)]) is verdict


def test_a_threshold_decides_alone() -> None:
    assert ConfidenceSettings(threshold=0.7).verdict(RANKED) is Verdict.ANSWERED
    assert ConfidenceSettings(threshold=0.71).verdict(RANKED) is Verdict.NOT_SURE
    assert ConfidenceSettings(threshold=0.0).verdict([("a", 0.3), ("b", 0.29)]) is Verdict.ANSWERED


def test_a_class_has_its_own_threshold() -> None:
    settings = ConfidenceSettings(threshold=0.5, class_thresholds={"Ragdoll": 0.9})

    assert settings.verdict(RANKED) is Verdict.NOT_SURE
    assert settings.verdict([("Birman", 0.6), ("Ragdoll", 0.4)]) is Verdict.ANSWERED


def test_what_is_too_strange_gets_no_class_however_probable_it_is() -> None:
    settings = ConfidenceSettings(threshold=0.5, familiar_refused=0.05, strangeness_limit=2.0)

    assert settings.verdict(RANKED, 2.1) is Verdict.NOTHING_LIKE_IT
    assert settings.verdict(RANKED, 2.0) is Verdict.ANSWERED
    assert settings.verdict(RANKED, None) is Verdict.ANSWERED


def test_verdicts_are_sentences() -> None:
    assert sentence_of(Verdict.ANSWERED, RANKED) == "Ragdoll."
    assert sentence_of(Verdict.NOT_SURE, RANKED) == "Not sure: Ragdoll or Birman."
    assert sentence_of(Verdict.NOTHING_LIKE_IT, RANKED) == "This looks like nothing I was shown."


def test_settings_come_back_from_json_as_they_were() -> None:
    settings = ConfidenceSettings(1.3, 0.9, {"Ragdoll": 0.95}, 0.02, 1.75)

    assert ConfidenceSettings.from_json(settings.to_json()) == settings
    assert ConfidenceSettings.from_json({}).is_empty
    assert not settings.is_empty


def test_without_a_temperature_probabilities_stay_exactly_as_they_are() -> None:
    probabilities = np.array([[0.25, 0.75]], dtype=np.float32)

    assert ConfidenceSettings(threshold=0.9).calibrated(probabilities) is probabilities


def test_limits_are_said_in_words() -> None:
    chosen = ConfidenceSettings(threshold=0.9, familiar_refused=0.05, strangeness_limit=0.2)

    assert ConfidenceSettings().in_words(37) == (
        "The model answers with one of its 37 classes, even for a picture of something else.",
    )
    assert chosen.in_words(37) == (
        "A picture unlike all training pictures gets none of the 37 classes.",
        "It answers from 90 % confidence on.",
    )
