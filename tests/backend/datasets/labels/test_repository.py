"""Whatever is changed, undone and brought back, in any order: what counts is what a slow replay says."""

from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.datasets.labels.repository import CLASS, IMAGE, Author, Change, LabelLedger
from backend.db.session import Database, WriteSession
from backend.domain.ids import new_id
from backend.domain.labels.overrides import Overrides
from backend.tables.datasets import DatasetRow
from backend.tables.labels import LabelBatchRow

RULE = "the rule decides"
KEYS = [(IMAGE, "a"), (IMAGE, "b"), (IMAGE, "c"), (CLASS, "cat")]
WISHES = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["x", "y", None, RULE]), min_size=1, max_size=4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), WISHES),
        st.tuples(st.sampled_from(["undo", "redo"]), st.none()),
        st.tuples(st.sampled_from(["undo", "redo"]), st.integers(0, 9)),
    ),
    min_size=1,
    max_size=14,
)


@dataclass
class Replay:
    """Every action that counts, from the beginning, each time anew."""

    actions: list[dict[tuple[str, str], str | None]] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)
    """Places of undone actions, in the order in which they were undone."""

    @property
    def state(self) -> dict[tuple[str, str], str | None]:
        found: dict[tuple[str, str], str | None] = {}
        for place, wishes in enumerate(self.actions):
            if place not in self.undone:
                found |= wishes
        return {key: label for key, label in found.items() if label != RULE}

    def to_undo(self) -> int | None:
        return max((place for place in range(len(self.actions)) if place not in self.undone), default=None)

    def to_redo(self) -> int | None:
        newest = self.to_undo()
        return next((p for p in reversed(self.undone) if newest is None or p > newest), None)


def state_of(overrides: Overrides) -> dict[tuple[str, str], str | None]:
    found: dict[tuple[str, str], str | None] = {(IMAGE, str(key)): label for key, label in overrides.images.items()}
    return found | {(CLASS, key): label for key, label in overrides.classes.items()}


def changes(wishes: dict[tuple[str, str], str | None]) -> list[Change]:
    return [
        Change(kind, key, None if label == RULE else label, None, None, is_rule=label == RULE)
        for (kind, key), label in wishes.items()
    ]


def play(session: WriteSession, steps: list[tuple[str, dict[tuple[str, str], str | None] | int | None]]) -> None:
    dataset = DatasetRow(id=new_id(), name="Pets")
    session.add(dataset)
    session.flush()
    ledger, replay = LabelLedger(session), Replay()
    batches: list[LabelBatchRow] = []
    for what, wanted in steps:
        if isinstance(wanted, dict):
            batches.append(ledger.add(dataset.id, "changed", changes(wanted), Author("ana")))
            replay.actions.append(wanted)
        else:
            find = ledger.to_undo if what == "undo" else ledger.to_redo
            expected = replay.to_undo() if what == "undo" else replay.to_redo()
            if wanted is None:
                found = find(dataset.id)
                assert (found.number - 1 if found else None) == expected
            else:
                expected = wanted if wanted < len(batches) and (wanted in replay.undone) == (what == "redo") else None
            if expected is not None and what == "undo":
                ledger.undo(batches[expected], "ana")
                replay.undone.append(expected)
            elif expected is not None:
                ledger.redo(batches[expected])
                replay.undone.remove(expected)
        session.flush()
        assert state_of(ledger.overrides(dataset.id)) == replay.state
    while (last := ledger.to_undo(dataset.id)) is not None:
        ledger.undo(last, "ana")
        session.flush()
    assert not ledger.overrides(dataset.id)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_what_counts_is_what_a_replay_says(
    sqlite_url: str, steps: list[tuple[str, dict[tuple[str, str], str | None] | int | None]]
) -> None:
    database = Database(sqlite_url)
    with database.write() as session:
        play(session, steps)
    database.dispose()


def test_both_databases_replay_alike(database: Database) -> None:
    first: dict[tuple[str, str], str | None] = {(IMAGE, "a"): "x", (IMAGE, "b"): "x", (CLASS, "cat"): None}
    second: dict[tuple[str, str], str | None] = {(IMAGE, "a"): "y", (IMAGE, "b"): RULE}
    with database.write() as session:
        play(
            session,
            [("change", first), ("change", second), ("undo", 0), ("undo", None), ("redo", None), ("redo", 0)],
        )
