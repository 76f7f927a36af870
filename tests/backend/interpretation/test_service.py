"""Results are summed up by the database, on both kinds of it."""

import pytest

from backend.db.session import Database
from backend.domain.ids import CheckpointId, RunId
from backend.domain.manifest import Split
from backend.domain.results import Confusion
from backend.domain.runs import CheckpointNotFound
from backend.interpretation import service
from backend.interpretation.answers import Filter
from backend.interpretation.find import results_of
from backend.interpretation.record import record_predictions
from backend.interpretation.service import NoResultsYet, NothingTested
from backend.pagination import CursorUnknown
from tests.backend.interpretation.conftest import TriedRun, add_checkpoint, evaluation_of


def test_the_matrix_has_actual_classes_as_rows(database: Database, tried_run: TriedRun) -> None:
    with database.read() as session:
        matrix = service.confusion_matrix(session, results_of(session, tried_run.run_id))

    assert matrix.tolist() == [[1, 2, 0], [0, 2, 0], [1, 0, 0]]


def test_the_summary_has_the_figures_of_the_whole_and_of_each_class(database: Database, tried_run: TriedRun) -> None:
    with database.read() as session:
        found = service.summary(session, results_of(session, tried_run.run_id))

    assert (found.images, found.errors, found.error_rate) == (6, 3, 0.5)
    assert found.error_rate_interval == pytest.approx((0.187616, 0.812384), abs=1e-6)
    assert found.loss == pytest.approx(1.262539, abs=1e-6)
    cat, dog, owl = found.per_class
    assert [cat.precision, cat.recall, cat.f1] == pytest.approx([0.5, 1 / 3, 0.4])
    assert (dog.precision, dog.recall, dog.images) == (0.5, 1.0, 2)
    assert (owl.precision, owl.recall, owl.f1) == (None, 0.0, 0.0)


def test_most_confused_comes_most_first_and_leaves_out_rare_pairs(database: Database, tried_run: TriedRun) -> None:
    with database.read() as session:
        results = results_of(session, tried_run.run_id)

        assert service.confused_pairs(session, results, min_count=2) == [Confusion("cat", "dog", 2)]
        assert service.confused_pairs(session, results, min_count=1) == [
            Confusion("cat", "dog", 2),
            Confusion("owl", "cat", 1),
        ]


def test_top_losses_come_worst_first_with_both_probabilities(database: Database, tried_run: TriedRun) -> None:
    with database.read() as session:
        found = service.top_losses(session, results_of(session, tried_run.run_id), k=2)

    assert [image.image_id for image in found] == [tried_run.images[5], tried_run.images[2]]
    worst = found[0]
    assert (worst.path, worst.actual, worst.predicted) == ("animals/5.png", "owl", "cat")
    assert worst.loss == pytest.approx(2.995732, abs=1e-5)
    assert worst.probability_actual == pytest.approx(0.05)
    assert worst.probability_predicted == pytest.approx(0.9)


def test_a_cell_lists_its_images_and_no_others(database: Database, tried_run: TriedRun) -> None:
    with database.read() as session:
        results = results_of(session, tried_run.run_id)

        page, following = service.images(session, results, Filter(actual="cat", predicted="dog"), limit=10)

    assert [image.image_id for image in page] == [tried_run.images[2], tried_run.images[1]]
    assert following is None


def test_pages_of_images_join_without_gap_or_double(database: Database, tried_run: TriedRun) -> None:
    seen: list[str] = []
    after: str | None = None
    with database.read() as session:
        results = results_of(session, tried_run.run_id)

        for _ in range(3):
            page, after = service.images(session, results, Filter(), limit=2, after=after)
            seen += [image.image_id for image in page]

    assert seen == [tried_run.images[place] for place in (5, 2, 1, 3, 0, 4)]
    assert after is None


def test_a_cursor_of_somebody_elses_is_refused(database: Database, tried_run: TriedRun) -> None:
    with database.read() as session, pytest.raises(CursorUnknown):
        service.images(session, results_of(session, tried_run.run_id), Filter(), limit=2, after="nonsense")


def test_images_can_be_chosen_by_certainty_and_by_being_wrong(database: Database, tried_run: TriedRun) -> None:
    chosen = Filter(wrong=True, sure_from=0.75)
    with database.read() as session:
        results = results_of(session, tried_run.run_id)

        page, _ = service.images(session, results, chosen, limit=10)

        assert [image.image_id for image in page] == [tried_run.images[5], tried_run.images[2]]
        assert service.count_images(session, results, chosen) == 2


def test_faces_gives_a_few_images_of_every_pair(database: Database, tried_run: TriedRun) -> None:
    pairs = [Confusion("cat", "dog", 2), Confusion("owl", "cat", 1)]
    with database.read() as session:
        found = service.faces(session, results_of(session, tried_run.run_id), pairs, each=1)

    assert {pair: [image.image_id for image in images] for pair, images in found.items()} == {
        ("cat", "dog"): [tried_run.images[2]],
        ("owl", "cat"): [tried_run.images[5]],
    }


def test_certainty_counts_right_and_wrong_images_by_how_sure_it_was(database: Database, tried_run: TriedRun) -> None:
    with database.read() as session:
        found = service.certainty(session, results_of(session, tried_run.run_id), bars=2)

    assert found == [(0, 0), (3, 3)]


def test_recording_twice_keeps_one_answer_per_image(database: Database, tried_run: TriedRun) -> None:
    with database.write() as session:
        record_predictions(session, tried_run.checkpoint_id, evaluation_of(tried_run.images))

    with database.read() as session:
        assert service.summary(session, results_of(session, tried_run.run_id)).images == 6


def test_the_best_stage_is_meant_unless_one_is_named(database: Database, tried_run: TriedRun) -> None:
    with database.write() as session:
        add_checkpoint(session, tried_run.run_id, stage=1, error_rate=0.1, loss=0.4)
        better = add_checkpoint(session, tried_run.run_id, stage=2, error_rate=0.1, loss=0.3)
        add_checkpoint(session, tried_run.run_id, stage=3, error_rate=0.1, loss=0.35)

    with database.read() as session:
        assert results_of(session, tried_run.run_id).checkpoint_id == better
        assert results_of(session, tried_run.run_id, tried_run.checkpoint_id).stage == 0


def test_a_run_without_a_finished_stage_reports_it(database: Database, untried_run: RunId) -> None:
    with database.read() as session, pytest.raises(NoResultsYet):
        results_of(session, untried_run)


def test_a_checkpoint_of_another_run_is_not_found(database: Database, tried_run: TriedRun) -> None:
    with database.read() as session, pytest.raises(CheckpointNotFound):
        results_of(session, tried_run.run_id, CheckpointId("f" * 32))


def test_a_split_that_was_never_tried_reports_it(database: Database, tried_run: TriedRun) -> None:
    with database.read() as session, pytest.raises(NothingTested):
        service.summary(session, results_of(session, tried_run.run_id, split=Split.TEST))
