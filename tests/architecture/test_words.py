"""Words that must not come back: names from before the redesign, metaphors, and sentences that people stumbled over.

Each has the word to use instead. A word of the REST contract (such as ``at_hand``) stays what it is.
"""

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = (".py", ".ts")
PAGES = (".html", ".ts")
TEXTS = (".py", ".ts", ".html", ".md", ".css")
NOT_READ = ("alembic/versions/", "tests/backend/test_upgrades.py", "tests/architecture/test_words.py", "CHANGELOG.md")


@dataclass(frozen=True, slots=True)
class Banned:
    """A regular expression, what to write instead, and in files of which kind and folders it is looked for."""

    pattern: str
    instead: str
    suffixes: tuple[str, ...] = TEXTS
    folders: tuple[str, ...] = ("backend/", "worker/", "frontend/", "docs/", "tests/", "benchmarks/", "README.md")


NAMES = [
    Banned(r"\b(?:\w*_)?spine\b|\bspine_\w+", "steps, journey"),
    Banned(
        r"\bDoorbell\b|\w+Doorbell\b|doorbells?",
        "JobNotifier, message broker",
        (".py", ".md", ".html"),
        ("backend/", "worker/", "docs/operating.md", "frontend/", "README.md"),
    ),
    Banned(r"\b(?:rings?|rang|rung)\b", "notify, notification", (".py",), ("backend/", "worker/", "tests/worker/")),
    Banned(r"\b(?:bell|deaf|unheard)\b", "broker, missed", (".py", ".html"), ("backend/", "worker/", "frontend/")),
    Banned(r"\b(?:StillLayers|WayBack|TornStep|Brake|Showing)\b", "FrozenLayers, Rollback, PartialUpdate, …", CODE),
    Banned(
        r"\b(?:asked_at_once|fewest_at_once|backbone_stands_still)\b",
        "eval_batch_size, min_micro_batch, …",
        CODE,
        ("backend/", "worker/engine/data/", "worker/engine/hardware/", "worker/engine/stage/", "frontend/"),
    ),
    Banned(
        r"\b(?:be_patient|say_alive|say_goodbye|go_on_with_room|close_leftovers|insist)\b", "set_stall_timeout, …", CODE
    ),
    Banned(r"\b(?:last_ring_at|unfit_until|unfit)\b", "last_notified_at, quarantined_until", CODE),
    Banned(r"\btold\b", "reported, asked, shown", (".py",), ("backend/", "worker/", "tests/", "benchmarks/")),
    Banned(r"\b(?:House|Farm|hound|badger)\b", "ServeProcess, Cluster, worker-1", (".py",)),
    Banned(r"\b[Ss]tands? still\b|\bSTAND_STILL\b", "frozen, without movement"),
    Banned(r"\boutlook\b", "forecast_sentences", (".py", ".html", ".ts")),
]

SENTENCES = [
    Banned(r"What it takes for what", "Confusion matrix"),
    Banned(r"How each class fares", "Results by class"),
    Banned(r"this is a toy", "very few pictures, so the score will be unreliable"),
    Banned(r"Nothing is before it", "The queue is empty"),
    Banned(r"Choose how; one is chosen already", "Choose a method, or keep the recommended one."),
    Banned(r"epochs of the head\b", "epochs on the last layers", PAGES),
    Banned(r"of other kinds here", "estimated from a different model's run"),
    Banned(r"no better than noise", "no measurable change"),
    Banned(r"(?:Showing|Asking) the (?:pictures|model)\b", "Computing features, Evaluating"),
    Banned(r"Trying growing steps", "Learning-rate finder running"),
    Banned(r"What it runs on|Settings as they ran|Its model as a file", "Hardware, Settings used, Download the model"),
    Banned(r"largest difference of a probability", "Checked: same answers as the trained model", PAGES),
    Banned(
        r"Memory of the step sizes|Smallest divisor|Decay batch norm too",
        "Adam beta2, Adam epsilon, Weight decay on batch norm",
    ),
    Banned(r"guards its pictures with a key", "Enter your access key."),
    Banned(r"Where it is has been saved", "Progress is saved."),
    Banned(r"answered and forgotten", "Pictures you try are not stored."),
    Banned(r"Slower than we said", "Slower than estimated"),
    Banned(r"no number any more|losses that are no numbers", "NaN or infinite"),
    Banned(r"was not heard of any more", "lost contact with its worker"),
    Banned(r"This isn't here", "Page not found"),
    Banned(r"Bring the pictures", "Add pictures"),
    Banned(r"(?:model|it) says\b|\breally \(actual\)", "predicted, label", (".html",)),
    Banned(r"learns? by heart", "overfits"),
    Banned(r"the doorbell \(Valkey\)", "the message broker (Valkey)"),
]


@cache
def _files() -> tuple[str, ...]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(file for file in listed.splitlines() if not file.startswith(NOT_READ))


def found(banned: Banned) -> list[str]:
    """Every place of a banned word, as ``file:line``."""
    pattern = re.compile(banned.pattern, re.IGNORECASE if banned in SENTENCES else 0)
    places = []
    for file in _files():
        if not file.startswith(banned.folders) or not file.endswith(banned.suffixes):
            continue
        lines = (ROOT / file).read_text("utf-8").splitlines()
        places += [f"{file}:{number}" for number, line in enumerate(lines, start=1) if pattern.search(line)]
    return places


@pytest.mark.parametrize("banned", [*NAMES, *SENTENCES], ids=lambda banned: banned.pattern)
def test_words_that_were_replaced_do_not_come_back(banned: Banned) -> None:
    assert found(banned) == [], f"write: {banned.instead}"


def test_a_banned_word_is_found() -> None:
    assert found(Banned(r"def test_a_banned_word_is_found", "", (".py",), ("tests/",))) == []
    assert (
        found(Banned(r"^Each has the word to use instead", "", (".py",), ("tests/architecture/test_styles.py",))) == []
    )
    assert found(Banned(r"^\"\"\"Styles: a page's rules", "", (".py",), ("tests/architecture/",))) == [
        "tests/architecture/test_styles.py:1"
    ]
