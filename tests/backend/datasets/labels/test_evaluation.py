"""Rules of people in processes with limits."""

import os
import signal
import time
from collections.abc import Iterator, Sequence

import pytest

from backend.datasets.labels.evaluation import RuleProcesses, RuleTooLarge, RuleTooSlow
from backend.domain.labels.expressions import InvalidExpression
from backend.domain.labels.patterns import InvalidPattern
from backend.domain.labels.rules import evaluate_expression, evaluate_pattern


@pytest.fixture(scope="module")
def processes() -> Iterator[RuleProcesses]:
    found = RuleProcesses(cpu_s=0.5, memory=512 << 20)
    yield found
    found.close()


def test_it_evaluates_a_pattern_for_all_paths_in_their_order(processes: RuleProcesses) -> None:
    paths = [f"images/cat_{number}.jpg" for number in range(45_000)]

    assert processes.evaluate(evaluate_pattern, r"_(\d+)\.jpg$", paths) == [str(number) for number in range(45_000)]


@pytest.mark.parametrize("number", [1, 999, 1_001, 40_001])
def test_every_process_has_its_share(processes: RuleProcesses, number: int) -> None:
    paths = [f"cat_{at}.jpg" for at in range(number)]

    assert processes.evaluate(count_paths, "", paths) == SHARES[number]


def count_paths(_text: str, paths: Sequence[str]) -> Sequence[str | None]:
    """How many paths one call has got, instead of an answer for each."""
    return [str(len(paths))]


SHARES = {1: ["1"], 999: ["999"], 1_001: ["501", "500"], 40_001: ["10001", "10001", "10001", "9998"]}


def test_what_a_rule_refuses_comes_back_with_its_position(processes: RuleProcesses) -> None:
    with pytest.raises(InvalidPattern) as refusal:
        processes.evaluate(evaluate_pattern, "/([^/]+", ())
    with pytest.raises(InvalidExpression):
        processes.evaluate(evaluate_expression, "nosuch", ())

    assert refusal.value.position == 2


def spin(_text: str, _paths: Sequence[str]) -> Sequence[str | None]:
    while True:
        pass


@pytest.mark.parametrize(
    "expression",
    [
        "parts.map(p, path.matches('(\\\\pL{50}){15}x') ? p : 'b')[0]",
        "path.matches('" + "(a|b){900}" * 30 + "\\\\pL{900}') ? 'a' : 'b'",
    ],
)
def test_a_heavy_expression_is_stopped_with_a_sentence(processes: RuleProcesses, expression: str) -> None:
    with pytest.raises((RuleTooSlow, RuleTooLarge, InvalidExpression)):
        processes.evaluate(evaluate_expression, expression, ["ab/" * 300] * 1_000)


def test_a_rule_without_end_is_stopped(processes: RuleProcesses) -> None:
    with pytest.raises(RuleTooSlow):
        processes.evaluate(spin, "", ())


def hoard(_text: str, _paths: Sequence[str]) -> Sequence[str | None]:
    return ["x" * (2 << 30)]


def test_a_rule_that_fills_the_memory_is_stopped(processes: RuleProcesses) -> None:
    with pytest.raises(RuleTooLarge):
        processes.evaluate(hoard, "", ())


def test_a_process_that_was_killed_while_idle_is_replaced(processes: RuleProcesses) -> None:
    (before,) = processes.evaluate(own_id, "", ())
    os.kill(int(before or 0), signal.SIGKILL)
    time.sleep(0.5)  # until the pool has seen it

    (after,) = processes.evaluate(own_id, "", ())

    assert after != before


def own_id(_text: str, _paths: Sequence[str]) -> Sequence[str | None]:
    return [str(os.getpid())]
