"""Answers that are computed beside requests."""

import itertools
import threading

from backend.background import Background, Failed


def test_whoever_asks_while_it_is_computed_gets_none_and_then_the_answer() -> None:
    background, may_end = Background[int]("test"), threading.Event()

    def compute() -> int:
        may_end.wait(30)
        return 7

    assert background.answer(("pets", "1"), compute) is None
    may_end.set()
    background.wait_for_all()

    assert background.answer(("pets", "1"), compute) == 7


def test_a_quick_answer_is_waited_for() -> None:
    assert Background[int]("test").answer(("pets", "1"), lambda: 7, wait_s=30) == 7


def test_an_answer_is_computed_once_for_a_key_and_anew_for_another() -> None:
    background, numbers = Background[int]("test"), itertools.count()

    def ask(key: str) -> int | Failed | None:
        return background.answer(("pets", key), lambda: next(numbers), wait_s=30)

    assert [ask("1"), ask("1"), ask("2")] == [0, 0, 1]


def test_a_failure_is_an_answer_as_well() -> None:
    assert isinstance(Background[float]("test").answer(("pets",), lambda: 1 / 0, wait_s=30), Failed)
