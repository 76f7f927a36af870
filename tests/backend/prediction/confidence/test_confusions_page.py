"""The confusion matrix of two classes: what each threshold does with the test pictures, and what that costs."""

import html
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.confidence.settings import ConfidenceSettings
from backend.domain.ids import CheckpointId, RunId
from backend.domain.manifest import Split
from backend.domain.results import Evaluation
from backend.interpretation.record import record_predictions
from backend.storage.local import LocalStorage
from backend.tables.interpretation import PredictionRow
from backend.tables.training import CheckpointRow
from backend.training.confidence.chosen import keep_settings
from tests.backend.interpretation.conftest import add_checkpoint, add_run
from worker.engine.checkpoints.checkpoint import write_predictions

PAGE = {"Accept": "text/html"}
SICK = (0.9, 0.6, 0.4)
WELL = (0.7, 0.2, 0.1)


@dataclass(frozen=True, slots=True)
class TwoClassRun:
    """Three pictures that are ill and three that are healthy, with the probability of ill as above."""

    run_id: RunId
    checkpoint_id: CheckpointId
    folder: Path

    @property
    def page(self) -> str:
        return f"/runs/{self.run_id}/understand/confusions"


@pytest.fixture
def run(database: Database, storage: LocalStorage) -> TwoClassRun:
    with database.write() as session:
        run_id, images = add_run(session)
        checkpoint_id = add_checkpoint(session, run_id)
        checkpoint = session.get_one(CheckpointRow, checkpoint_id)
        checkpoint.folder, checkpoint.classes = checkpoint_id, ["ill", "well"]
        of_ill = np.array(SICK + WELL, dtype=np.float32)
        targets = np.array([0, 0, 0, 1, 1, 1], dtype=np.int64)
        evaluation = Evaluation(("ill", "well"), images, np.stack([of_ill, 1 - of_ill], axis=1), targets)
        record_predictions(session, checkpoint_id, evaluation)
    folder = storage.folder("checkpoints", checkpoint_id)
    write_predictions(folder, "valid", evaluation)
    return TwoClassRun(run_id, checkpoint_id, folder)


def shown(client: TestClient, run: TwoClassRun, query: str = "") -> str:
    """The words of the page, with single spaces."""
    answer = client.get(f"{run.page}{query}", headers=PAGE)
    assert answer.status_code == 200, answer.text
    text = html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"(?s)<(head|nav|svg).*?</\1>", " ", answer.text)))
    return re.sub(r"\s+", " ", text)


def test_at_first_the_more_probable_class_is_predicted_and_each_mistake_costs_one(
    client: TestClient, run: TwoClassRun
) -> None:
    text = shown(client, run)

    assert "Predict ill from this probability on50 %" in text
    assert "2 right67 % of 3 actual ill, predicted ill" in text
    assert "1 missed ill33 % of 3 actual ill, predicted well" in text
    assert "1 false ill33 % of 3 actual well, predicted ill" in text
    assert "At 50 % the mistakes cost 2." in text
    assert "1 missed × 1 + 1 false × 1." in text
    assert "The lowest cost is 1, at 40 %. Go to 40 %" in text


def test_a_threshold_and_costs_of_the_address_are_shown_as_they_are_without_a_script(
    client: TestClient, run: TwoClassRun
) -> None:
    answer = client.get(f"{run.page}?class=well&threshold=35&missed=2.5&false=10", headers=PAGE).text
    text = shown(client, run, "?class=well&threshold=35&missed=2.5&false=10")

    assert "<option selected>well</option>" in answer
    assert 'name="threshold" min="0" max="100" step="1" value="35"' in answer
    assert 'name="missed" min="0" max="1000000" step="any" inputmode="decimal" value="2.5"' in answer
    # Well is predicted of the ill 0.4 and 0.6, and missed of the well 0.7, whose probability of well is 0.3.
    assert "At 35 % the mistakes cost 22.5." in text
    assert "1 missed × 2.5 + 2 false × 10." in text
    assert "The lowest cost is 2.5, at 61 %." in text
    assert f'href="{run.page}?class=well&amp;threshold=61&amp;missed=2.5&amp;false=10#threshold"' in answer


def test_empty_fields_of_a_form_mean_the_usual(client: TestClient, run: TwoClassRun) -> None:
    assert "1 missed × 1 + 1 false × 1." in shown(client, run, "?class=&threshold=&missed=&false=")


def test_a_threshold_of_nought_percent_stays_in_the_links(client: TestClient, run: TwoClassRun) -> None:
    text = client.get(f"{run.page}?threshold=0", headers=PAGE).text

    assert f'href="{run.page}?order=likeness&amp;threshold=0"' in text


@pytest.mark.parametrize("query", ["threshold=101", "missed=-1", "false=inf", "missed=nan", "false=dear"])
def test_what_is_no_threshold_or_cost_is_refused(client: TestClient, run: TwoClassRun, query: str) -> None:
    assert client.get(f"{run.page}?{query}", headers=PAGE).status_code == 422


def test_the_temperature_in_force_changes_the_probabilities_and_is_named(
    client: TestClient, run: TwoClassRun, database: Database
) -> None:
    before = shown(client, run, "?threshold=80")
    with database.write() as session:
        keep_settings(session, run.checkpoint_id, ConfidenceSettings(temperature=2.0), None)

    after = shown(client, run, "?threshold=80")

    assert "The probabilities are those that the network gives" in before
    assert "2 missed × 1 + 0 false × 1." in before
    # 0.9 becomes 3 / (3 + 1).
    assert "The probabilities are those with the temperature 2.00 that was chosen" in after
    assert "3 missed × 1 + 0 false × 1." in after


def test_a_threshold_is_not_chosen_on_held_back_pictures(
    client: TestClient, run: TwoClassRun, database: Database
) -> None:
    with database.write() as session:
        session.execute(update(PredictionRow).values(split=Split.TEST.value))

    assert "would cost" not in shown(client, run, "?split=test")


def test_where_the_answers_are_gone_the_matrix_is_shown_and_the_page_says_so(
    client: TestClient, run: TwoClassRun
) -> None:
    (run.folder / "predictions.json").unlink()

    text = shown(client, run)

    assert "aren't kept any more" in text
    assert "ill taken for well: 1" in text
