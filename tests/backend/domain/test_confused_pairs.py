"""Two classes that are taken for each other, both ways."""

from backend.domain.confused_pairs import ConfusedPair, both_ways
from backend.domain.results import Confusion


def test_both_ways_of_a_pair_are_one_pair_the_more_frequent_way_first() -> None:
    found = both_ways([Confusion("birman", "ragdoll", 1), Confusion("ragdoll", "birman", 3)])

    assert found == [ConfusedPair(Confusion("ragdoll", "birman", 3), Confusion("birman", "ragdoll", 1))]
    assert found[0].count == 4


def test_a_way_that_never_happened_counts_none() -> None:
    assert both_ways([Confusion("cat", "dog", 2)]) == [
        ConfusedPair(Confusion("cat", "dog", 2), Confusion("dog", "cat", 0))
    ]


def test_pairs_are_ordered_by_the_mistakes_of_both_ways() -> None:
    found = both_ways(
        [
            Confusion("a", "b", 5),
            Confusion("c", "d", 3),
            Confusion("d", "c", 3),
            Confusion("b", "a", 0),
            Confusion("e", "a", 1),
        ]
    )

    assert [(pair.more.actual, pair.more.predicted, pair.count) for pair in found] == [
        ("c", "d", 6),
        ("a", "b", 5),
        ("e", "a", 1),
    ]


def test_of_two_ways_that_are_equally_frequent_the_first_given_stays_first() -> None:
    (pair,) = both_ways([Confusion("owl", "cat", 2), Confusion("cat", "owl", 2)])

    assert pair.ways == (Confusion("owl", "cat", 2), Confusion("cat", "owl", 2))


def test_without_a_mistake_there_is_no_pair() -> None:
    assert both_ways([]) == []
