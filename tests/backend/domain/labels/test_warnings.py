import pytest

from backend.domain.labels.warnings import warnings_about


def found(counts: dict[str, int], code: str) -> list[tuple[str, ...]]:
    return [warning.classes for warning in warnings_about(counts) if warning.code == code]


def test_names_that_differ_by_case_and_space_look_alike() -> None:
    assert found({"Bengal": 10, "bengal": 10, "Ben gal": 10}, "similar-names") == [("Ben gal", "Bengal", "bengal")]


@pytest.mark.parametrize("rare", ["Persan", "Persiian", "Parsian"])
def test_a_rare_name_one_letter_off_is_perhaps_a_typing_mistake(rare: str) -> None:
    (pair,) = found({"Persian": 20, rare: 2, "pug": 20}, "similar-names")

    assert set(pair) == {rare, "Persian"}


@pytest.mark.parametrize("counts", [{"horse": 20, "house": 20}, {"cat 1": 30, "cat 2": 3}, {"cat": 30, "car": 3}])
def test_frequent_short_and_numbered_names_are_no_typing_mistakes(counts: dict[str, int]) -> None:
    assert found(counts, "similar-names") == []


def test_what_programs_write_for_a_missing_label_is_pointed_out() -> None:
    (warning,) = [one for one in warnings_about({"nan": 3, "None": 6, "dog": 30}) if one.code == "names-of-nothing"]

    assert warning.classes == ("None", "nan")
    assert warning.message == "9 pictures are labelled “None” and “nan”, which usually means that there is no label."
