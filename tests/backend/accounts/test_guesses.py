"""Wrong tokens by address."""

import pytest

from backend.accounts.guesses import Guesses, network_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guesses(clock: Clock) -> Guesses:
    return Guesses(clock)


def test_twenty_wrong_tokens_a_minute_get_an_answer_and_more_do_not(guesses: Guesses, clock: Clock) -> None:
    first = [guesses.is_wrong_too_often("10.0.0.1", f"{number}") for number in range(21)]
    clock.now = 60.5

    assert first == [False] * 20 + [True]
    assert not guesses.is_wrong_too_often("10.0.0.1", "22")


def test_other_addresses_do_not_suffer(guesses: Guesses) -> None:
    for number in range(40):
        guesses.is_wrong_too_often("10.0.0.1", f"{number}")

    assert not guesses.is_wrong_too_often("10.0.0.2", "1")
    assert not guesses.must_wait("10.0.0.2", "right")


def test_from_an_address_that_guesses_not_even_the_right_token_is_accepted(guesses: Guesses, clock: Clock) -> None:
    for number in range(20):
        guesses.is_wrong_too_often("10.0.0.1", f"{number}")

    assert guesses.must_wait("10.0.0.1", "right")
    clock.now = 60.5
    assert not guesses.must_wait("10.0.0.1", "right")


def test_a_program_that_worked_before_continues(guesses: Guesses) -> None:
    guesses.must_wait("10.0.0.1", "right")
    for number in range(40):
        guesses.is_wrong_too_often("10.0.0.1", f"{number}")

    assert not guesses.must_wait("10.0.0.1", "right")


def test_a_program_with_one_old_token_locks_nobody_out(guesses: Guesses) -> None:
    answers = [guesses.is_wrong_too_often("10.0.0.1", "old") for _ in range(40)]

    assert answers[-1]
    assert not guesses.must_wait("10.0.0.1", "right")


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"),
        (None, "unknown"),
    ],
)
def test_of_ipv6_the_half_that_its_user_cannot_change_counts(host: str | None, network: str) -> None:
    assert network_of(host) == network
