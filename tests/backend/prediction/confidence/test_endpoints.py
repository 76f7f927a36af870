"""Confidence of a checkpoint by REST, and what follows from it in answers and files."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image
from safetensors import safe_open
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.ledger.job import TRAINER_CRASHED, Outcome
from backend.ledger.repository import Ledger
from backend.storage.local import LocalStorage
from backend.training.checkpoint_jobs import service
from tests.backend.prediction.confidence.conftest import Scene, add_scene, picture
from tests.fixtures.pictures import encode
from tests.fixtures.strangeness import claim_measurement

RED = encode(Image.new("RGB", (40, 30), (255, 0, 0)))
GREY = encode(Image.new("RGB", (30, 30), (128, 128, 128)))


def ask(client: TestClient, scene: Scene, content: bytes) -> dict[str, Any]:
    """What REST answers for a picture (Any: JSON values)."""
    answer = client.post(f"{scene.api}/predictions", files=[("files", ("picture.png", content))])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["items"][0]
    return found


def put(client: TestClient, scene: Scene, **body: object) -> dict[str, Any]:
    """What choosing answers (Any: JSON values)."""
    answer = client.put(f"{scene.api}/confidence", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def code_of(answer: Any) -> tuple[int, str]:  # Any: a response
    return answer.status_code, answer.json()["error"]["code"]


def measured(client: TestClient, scene: Scene) -> dict[str, Any]:
    """What is known once strangeness was measured (Any: JSON values)."""
    assert client.post(f"{scene.api}/confidence/none-of-these").status_code == 202
    scene.measure_what_waits()
    found: dict[str, Any] = client.get(f"{scene.api}/confidence").json()
    return found


def test_it_shows_the_calibration_and_the_temperature(client: TestClient, scene: Scene) -> None:
    found = client.get(f"{scene.api}/confidence").json()

    assert found["images"] == 200
    # e^3 / (e^3 + 2) sure, and right in 160 of 200.
    assert found["calibration"]["mean_confidence"] == pytest.approx(0.909443, abs=1e-5)
    assert found["calibration"]["accuracy"] == 0.8
    assert found["calibration"]["ece"] == pytest.approx(0.109443, abs=1e-5)
    assert [one["images"] for one in found["calibration"]["curve"]] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 200]
    # Right in 80 %: logits ln 8 = 2.0794 apart.
    assert found["temperature"]["value"] == pytest.approx(3 / 2.0794, abs=2e-3)
    assert found["temperature"]["helps"] is True
    assert found["temperature"]["after"]["ece"] < 0.06
    assert found["temperature_refused"] is None
    assert found["settings"] == {
        "temperature": None,
        "threshold": None,
        "class_thresholds": {},
        "familiar_refused": None,
        "strangeness_limit": None,
    }


def test_it_shows_what_is_answered_at_each_threshold_with_intervals(client: TestClient, scene: Scene) -> None:
    found = client.get(f"{scene.api}/confidence").json()

    of_ninety = next(one for one in found["coverage"] if one["threshold"] == 0.9)
    assert (of_ninety["answered"], of_ninety["wrong"]) == (200, 40)
    assert (of_ninety["coverage"], of_ninety["error_rate"]) == (1.0, 0.2)
    # Wilson's interval of 40 of 200.
    assert of_ninety["error_rate_interval"] == pytest.approx([0.1505, 0.2608], abs=1e-4)
    of_95 = next(one for one in found["coverage"] if one["threshold"] == 0.95)
    assert (of_95["answered"], of_95["error_rate"]) == (0, None)
    assert [one["class"] for one in found["per_class"]] == ["blue", "green", "red"]


def test_few_test_pictures_have_no_temperature(client: TestClient, database: Database, storage: LocalStorage) -> None:
    scene = add_scene(database, storage, images=60, wrong=10)

    found = client.get(f"{scene.api}/confidence").json()
    refusal = client.put(f"{scene.api}/confidence", json={"temperature": True})

    assert found["temperature"] is None
    assert "60 test pictures" in found["temperature_refused"]
    assert code_of(refusal) == (409, "temperature-unavailable")


def test_without_settings_answers_and_files_are_as_they_were(
    client: TestClient, scene: Scene, storage: LocalStorage
) -> None:
    found = ask(client, scene, RED)

    assert found["confidence"] == pytest.approx(0.964664, abs=1e-6)
    assert (found["verdict"], found["sentence"], found["strangeness"]) == ("answered", "red.", None)
    unsure = ask(client, scene, GREY)
    assert unsure["verdict"] == "not_sure"
    assert unsure["sentence"].startswith("Not sure: ")
    file = storage.folder("checkpoints", scene.checkpoint_id) / "model.onnx"
    assert client.get(f"{scene.api}/export").content == file.read_bytes()


def test_the_temperature_is_in_every_answer(client: TestClient, scene: Scene) -> None:
    found = put(client, scene, temperature=True)

    assert found["settings"]["temperature"] == pytest.approx(1.4427, abs=2e-3)
    temperature = found["settings"]["temperature"]
    expected = np.exp(4 / temperature) / (np.exp(4 / temperature) + 2)
    assert ask(client, scene, RED)["confidence"] == pytest.approx(expected, abs=1e-6)
    assert ask(client, scene, RED)["confidence"] < 0.9
    page = client.post(f"/checkpoints/{scene.checkpoint_id}/try", files=[("files", ("red.png", RED))])
    assert f"{100 * expected:.1f} %" in page.text


def test_below_the_threshold_it_is_not_sure(client: TestClient, scene: Scene) -> None:
    put(client, scene, threshold=0.97)

    found = ask(client, scene, RED)

    assert (found["predicted"], found["verdict"]) == ("red", "not_sure")
    assert found["sentence"] in ("Not sure: red or blue.", "Not sure: red or green.")
    page = client.post(f"/checkpoints/{scene.checkpoint_id}/try", files=[("files", ("red.png", RED))])
    assert "Not sure: red or" in page.text


def test_a_class_has_a_threshold_of_its_own(client: TestClient, scene: Scene) -> None:
    found = put(client, scene, threshold=0.97, class_thresholds={"red": 0.9})

    assert ask(client, scene, RED)["verdict"] == "answered"
    assert [one["threshold"] for one in found["per_class"]] == [0.97, 0.97, 0.9]


def test_thresholds_that_fit_nothing_are_refused(client: TestClient, scene: Scene) -> None:
    unknown = client.put(f"{scene.api}/confidence", json={"threshold": 0.9, "class_thresholds": {"pink": 0.9}})
    alone = client.put(f"{scene.api}/confidence", json={"class_thresholds": {"red": 0.9}})
    beyond = client.put(f"{scene.api}/confidence", json={"threshold": 1.5})

    assert code_of(unknown) == code_of(alone) == (422, "class-threshold-invalid")
    assert beyond.status_code == 422
    assert client.get(f"{scene.api}/confidence").json()["settings"]["threshold"] is None


def test_a_measurement_waits_for_a_worker_shows_how_far_it_is_and_is_begun_again(
    client: TestClient, scene: Scene
) -> None:
    def none_of_these() -> dict[str, Any]:  # Any: JSON values
        found: dict[str, Any] = client.get(f"{scene.api}/confidence").json()["none_of_these"]
        return found

    started = [client.post(f"{scene.api}/confidence/none-of-these").json()["none_of_these"] for _ in range(2)]
    assert [(one["status"], one["images_done"], one["images_total"]) for one in started] == [("measuring", 0, 0)] * 2
    claim = claim_measurement(scene.database)
    assert claim is not None
    assert claim_measurement(scene.database) is None
    with scene.database.write() as session:
        service.show(session, claim, 20, 48)
    assert (none_of_these()["images_done"], none_of_these()["images_total"]) == (20, 48)
    with scene.database.write() as session:
        Ledger(session).close(claim.job_id, claim.attempt, Outcome.YIELDED, failure=TRAINER_CRASHED)
    assert none_of_these()["status"] == "measuring"

    scene.measure_what_waits()

    assert none_of_these()["status"] == "ready"


def test_a_measurement_that_waits_can_be_cancelled(client: TestClient, scene: Scene) -> None:
    client.post(f"{scene.api}/confidence/none-of-these")

    cancelled = client.delete(f"{scene.api}/confidence/none-of-these")

    assert (cancelled.status_code, cancelled.json()["none_of_these"]["status"]) == (202, "not_measured")
    assert claim_measurement(scene.database) is None
    assert measured(client, scene)["none_of_these"]["status"] == "ready"


def test_none_of_these_must_be_measured_before_it_is_used(client: TestClient, scene: Scene) -> None:
    before = client.get(f"{scene.api}/confidence").json()["none_of_these"]

    refusal = client.put(f"{scene.api}/confidence", json={"familiar_refused": 0.05})

    assert before["status"] == "not_measured"
    assert code_of(refusal) == (409, "strangeness-not-measured")


def test_a_picture_unlike_all_training_pictures_is_none_of_these(client: TestClient, scene: Scene) -> None:
    known = measured(client, scene)["none_of_these"]

    found = put(client, scene, familiar_refused=0.01)

    assert (known["status"], known["learnt_from"], known["method"]) == ("ready", 36, "relative-mahalanobis")
    assert known["auroc"] > 0.8
    strange = ask(client, scene, encode(Image.new("RGB", (30, 30), (255, 0, 255))))
    assert strange["strangeness"] > found["settings"]["strangeness_limit"]
    assert (strange["verdict"], strange["sentence"]) == ("nothing_like_it", "This looks like nothing I was shown.")
    assert ask(client, scene, picture("red", 3))["verdict"] == "answered"
    assert [one["unknown_share"] for one in found["none_of_these"]["detections"]][:3] == [0.01, 0.02, 0.05]


def test_the_exported_file_answers_as_rest_does(client: TestClient, scene: Scene) -> None:
    measured(client, scene)
    found = put(client, scene, temperature=True, threshold=0.7, familiar_refused=0.05)

    exported = client.get(f"{scene.api}/export?format=onnx").content

    assert found["parity"]["images"] == 12
    assert found["parity"]["agreement"] == 1.0
    assert found["parity"]["max_difference"] < 1e-5
    assert found["parity"]["max_strangeness_difference"] < 1e-2
    known = {line.key: line.value for line in onnx.load_model_from_string(exported).metadata_props}
    assert json.loads(known["confidence"]) == found["settings"]
    assert json.loads(known["confidence_parity"]) == found["parity"]
    images = np.zeros((1, 3, 16, 16), np.float32)
    images[0, 0] = 1
    probabilities, strangeness = onnxruntime.InferenceSession(exported).run(None, {"images": images})
    by_rest = ask(client, scene, RED)
    assert probabilities[0].max() == pytest.approx(by_rest["confidence"], abs=1e-5)
    assert strangeness[0] == pytest.approx(by_rest["strangeness"], rel=1e-3)


@pytest.mark.parametrize("threshold", [0.7, None])
def test_the_example_of_the_handbook_answers_as_rest_does(
    client: TestClient, scene: Scene, storage: LocalStorage, tmp_path: Path, threshold: float | None
) -> None:
    _name_classes(storage.folder("checkpoints", scene.checkpoint_id) / "model.onnx")
    measured(client, scene)
    put(client, scene, temperature=True, threshold=threshold, familiar_refused=0.01)
    (tmp_path / "model.onnx").write_bytes(client.get(f"{scene.api}/export").content)
    handbook = (Path(__file__).parents[4] / "docs/rest.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(import json, numpy.*?)```", handbook, re.DOTALL)
    (tmp_path / "example.py").write_text(example.replace('"model.onnx"', repr(str(tmp_path / "model.onnx"))), "utf-8")
    verdict = runpy.run_path(str(tmp_path / "example.py"))["verdict"]

    sentences = {}
    for colour in ((255, 0, 0), (128, 128, 128), (255, 0, 255), (60, 230, 60)):
        image = np.broadcast_to(np.array(colour, np.float32).reshape(3, 1, 1) / 255, (3, 16, 16))
        sentences[colour] = verdict(np.ascontiguousarray(image))
        assert sentences[colour] == ask(client, scene, encode(Image.new("RGB", (16, 16), colour)))["sentence"]
    assert sentences[(255, 0, 255)] == "This looks like nothing I was shown."


def _name_classes(file: Path) -> None:
    """The colour model has no metadata; models of trainings do."""
    model = onnx.load(file)
    onnx.helper.set_model_props(model, {"classes": json.dumps(["blue", "green", "red"])})
    onnx.save(model, file)


def test_the_weights_carry_the_settings(client: TestClient, scene: Scene, tmp_path: Path) -> None:
    put(client, scene, threshold=0.7)

    (tmp_path / "w.safetensors").write_bytes(client.get(f"{scene.api}/export?format=safetensors").content)

    with safe_open(tmp_path / "w.safetensors", framework="numpy") as file:
        assert json.loads(file.metadata()["confidence"])["threshold"] == 0.7


def test_measuring_again_keeps_the_share_that_may_be_refused(client: TestClient, scene: Scene) -> None:
    measured(client, scene)
    before = put(client, scene, familiar_refused=0.05)["settings"]

    again = measured(client, scene)

    assert again["settings"] == before
    assert again["parity"] is None


def test_back_to_the_usual(client: TestClient, scene: Scene) -> None:
    put(client, scene, temperature=True, threshold=0.9)

    found = client.delete(f"{scene.api}/confidence").json()

    assert found["settings"]["temperature"] is None
    assert found["parity"] is None
    assert ask(client, scene, RED)["confidence"] == pytest.approx(0.964664, abs=1e-6)


def test_a_model_whose_answers_are_gone_says_so(client: TestClient, scene: Scene, storage: LocalStorage) -> None:
    (storage.folder("checkpoints", scene.checkpoint_id) / "predictions.json").unlink()

    assert code_of(client.get(f"{scene.api}/confidence")) == (409, "answers-missing")


def test_a_damaged_model_is_not_measured(client: TestClient, scene: Scene, storage: LocalStorage) -> None:
    (storage.folder("checkpoints", scene.checkpoint_id) / "model.onnx").write_bytes(b"nothing")

    found = measured(client, scene)["none_of_these"]

    assert found["status"] == "failed"
    assert "damaged" in found["message"]


def test_an_unknown_checkpoint_is_not_found(client: TestClient, database: Database) -> None:
    for call in (client.get, client.delete):
        assert code_of(call("/api/v1/checkpoints/nothing/confidence")) == (404, "checkpoint-not-found")
    assert client.post("/api/v1/checkpoints/nothing/confidence/none-of-these").status_code == 404


def test_a_reader_may_look_and_not_choose(client: TestClient, scene: Scene) -> None:
    made = client.post("/api/v1/tokens", json={"name": "reader", "scope": "read"}).json()
    headers = {"Authorization": f"Bearer {made['token']}"}

    assert client.get(f"{scene.api}/confidence", headers=headers).status_code == 200
    assert client.put(f"{scene.api}/confidence", json={}, headers=headers).status_code == 403
