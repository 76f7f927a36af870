from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.ids import VersionId
from backend.ledger.job import JobKind
from backend.storage.local import LocalStorage
from backend.training import record as progress
from backend.training.forecast.eta import Standing
from backend.training.forecast.speed_repository import Speeds
from backend.training.forecast.speeds import Speed
from backend.training.forecast.work import Work
from tests.backend.training.scene import (
    COUNTS,
    Scene,
    epoch_finished,
    stage_finished,
    state_saved,
    stored_checkpoint,
)
from tests.conftest import CollectingNotifier
from tests.fixtures.versions import add_version


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


@pytest.fixture
def version_id(scene: Scene) -> VersionId:
    return scene.version()


def test_it_queues_a_run_and_notifies(client: TestClient, version_id: str, notifier: CollectingNotifier) -> None:
    answer = client.post("/api/v1/runs", json={"version_id": version_id, "config": {"recipe": "lesson-1"}})

    run = answer.json()
    assert answer.status_code == 201
    assert (run["status"], run["queue_position"], run["name"], run["epochs"]) == ("queued", 1, "run 1", 6)
    assert run["config"]["architecture"] == "resnet34"
    assert run["config"]["stages"][1]["max_lr"] == [1e-6, 1e-4]
    assert (run["progress"], run["eta_s"], run["failure"], run["checkpoints"]) == (0.0, None, None, [])
    assert notifier.notifications == [JobKind.TRAIN]


def test_it_keeps_the_name_it_is_given(client: TestClient, version_id: str) -> None:
    answer = client.post("/api/v1/runs", json={"version_id": version_id, "name": "stage 1"})

    assert answer.json()["name"] == "stage 1"


def test_it_counts_the_runs_of_a_dataset(client: TestClient, version_id: str) -> None:
    names = [client.post("/api/v1/runs", json={"version_id": version_id}).json()["name"] for _ in range(2)]

    assert names == ["run 1", "run 2"]


def test_it_knows_the_places_in_line(client: TestClient, version_id: str) -> None:
    runs = [client.post("/api/v1/runs", json={"version_id": version_id}).json()["id"] for _ in range(2)]

    assert [client.get(f"/api/v1/runs/{run}").json()["queue_position"] for run in runs] == [1, 2]


def test_a_dry_run_stores_nothing(client: TestClient, version_id: str, notifier: CollectingNotifier) -> None:
    answer = client.post("/api/v1/runs?dry_run=true", json={"version_id": version_id})

    assert answer.status_code == 200
    assert answer.json()["forecast"] == {
        "seconds_low": None,
        "seconds_high": None,
        "memory_bytes": 2_331_574_985,
        "basis": "unknown, first run",
        "first_model_seconds": None,
    }
    assert answer.json()["config"]["architecture"] == "efficientnet-lite0"
    assert client.get("/api/v1/runs").json()["items"] == []
    assert notifier.notifications == []


def test_a_dry_run_shows_what_must_be_fetched_first(client: TestClient, version_id: str) -> None:
    body = {"version_id": version_id, "config": {"architecture": "resnet18"}}

    (remark,) = client.post("/api/v1/runs?dry_run=true", json=body).json()["warnings"]

    assert remark["code"] == "weights-download"
    assert "47 MB" in remark["message"]
    assert "resnet18-f37072fd.pth" in remark["message"]


def test_a_dry_run_on_a_graphics_card_that_nobody_has_reports_it(client: TestClient, version_id: str) -> None:
    body = {"version_id": version_id, "config": {"device": "cuda"}}

    (warning,) = client.post("/api/v1/runs?dry_run=true", json=body).json()["warnings"]

    assert warning["code"] == "no-gpu"
    assert warning["message"].startswith("This training asks for a graphics card, and no worker with one is running.")


def test_a_forecast_rests_on_earlier_runs(client: TestClient, version_id: VersionId, scene: Scene) -> None:
    # Of 160 pictures to learn from and 40 to test on.
    with scene.database.write() as session:
        Speeds(session).add(
            "cpu: a processor",
            [
                Speed(Work.START, "efficientnet-lite0", 224, 1, 5.0, "a" * 32),
                Speed(Work.READ, None, 224, 200, 2.0, "a" * 32),
                Speed(Work.PREPARE, "efficientnet-lite0", 224, 1, 1.0, "a" * 32),
                Speed(Work.FEATURES, "efficientnet-lite0", 224, 160, 16.0, "a" * 32),
                Speed(Work.HEAD, "efficientnet-lite0", 224, 160, 0.5, "a" * 32),
                Speed(Work.EXPORT, "efficientnet-lite0", 224, 1, 6.0, "a" * 32),
            ],
        )
    body = {"version_id": version_id, "config": {"stages": [{"freeze": True, "epochs": 3, "views": 2}]}}

    forecast = client.post("/api/v1/runs?dry_run=true", json=body).json()["forecast"]

    assert forecast["basis"] == "an earlier run of this model here"
    # 5 s, 2 s, 1 s, 36 s for one view of 40 and two of 160, half a second three times, 6 s; 30 % either way.
    assert forecast["seconds_low"] == pytest.approx(51.5 * 0.7)
    assert forecast["seconds_high"] == pytest.approx(51.5 * 1.3)


@pytest.mark.parametrize(
    ("counts", "code"),
    [
        ({"bear": COUNTS["bear"]}, "one-class-only"),
        ({"bear": COUNTS["bear"], "cat": {"train": 0, "valid": 3, "test": 0}}, "class-without-images"),
        (
            {"bear": {"train": 5, "valid": 0, "test": 0}, "cat": {"train": 5, "valid": 0, "test": 0}},
            "no-validation-images",
        ),
    ],
)
def test_it_refuses_what_cannot_be_learnt_from(
    client: TestClient, database: Database, counts: dict[str, dict[str, int]], code: str
) -> None:
    with database.write() as session:
        version_id = add_version(session, counts)

    answer = client.post("/api/v1/runs", json={"version_id": version_id})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"architecture": "no-such-network"}, "architecture-unknown"),
        ({"weights": "nobody's"}, "weights-unknown"),
        ({"batch_size": 1}, "invalid-input"),
        ({"epochs": 3}, "invalid-input"),
    ],
)
def test_it_refuses_a_config_it_cannot_follow(
    client: TestClient, version_id: str, config: dict[str, object], code: str
) -> None:
    answer = client.post("/api/v1/runs", json={"version_id": version_id, "config": config})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def test_it_does_not_know_other_versions(client: TestClient) -> None:
    answer = client.post("/api/v1/runs", json={"version_id": "nobody's"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "version-not-found")


@pytest.mark.parametrize("path", ["", "/epochs", "/events"])
def test_it_does_not_know_other_runs(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1/runs/nobodys{path}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "run-not-found")


def test_it_lists_runs_the_newest_first_page_by_page(client: TestClient, version_id: str, scene: Scene) -> None:
    first, second, third = (scene.run(VersionId(version_id)) for _ in range(3))

    page = client.get("/api/v1/runs?limit=2").json()
    rest = client.get(f"/api/v1/runs?limit=2&after={page['next']}").json()

    assert [run["id"] for run in page["items"]] == [third, second]
    assert ([run["id"] for run in rest["items"]], rest["next"]) == ([first], None)


def test_it_lists_runs_of_one_version_or_status(client: TestClient, scene: Scene) -> None:
    first = scene.run()
    second = scene.run()
    scene.claim()
    version_id = scene.view(second).version_id

    def ids(query: str) -> list[str]:
        return [run["id"] for run in client.get(f"/api/v1/runs?{query}").json()["items"]]

    assert ids(f"version={version_id}") == [second]
    assert ids("status=running") == [first]
    assert ids("status=queued") == [second]
    assert ids("status=failed") == []


def test_it_shows_the_table(client: TestClient, scene: Scene) -> None:
    run_id = scene.run()
    claim = scene.claim()
    with scene.database.write() as session:
        for epoch in range(3):
            progress.record_epoch(session, claim, epoch_finished(0, epoch), state_saved(0, epoch), Standing())

    page = client.get(f"/api/v1/runs/{run_id}/epochs?limit=2").json()
    rest = client.get(f"/api/v1/runs/{run_id}/epochs?after={page['next']}").json()

    assert page["items"][0] == {
        "stage": 0,
        "epoch": 0,
        "train_loss": 0.5,
        "valid_loss": 0.4,
        "error_rate": 0.1,
        "accuracy": 0.9,
        "learning_rate": 0.003,
        "duration_s": 10.0,
        "attempt": 1,
    }
    assert [row["epoch"] for row in rest["items"]] == [2]


def test_it_cancels_a_waiting_run_at_once(client: TestClient, scene: Scene) -> None:
    run_id = scene.run()

    answer = client.post(f"/api/v1/runs/{run_id}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert client.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202


def test_it_asks_a_running_run_to_stop(client: TestClient, scene: Scene) -> None:
    run_id = scene.run()
    scene.claim()

    answer = client.post(f"/api/v1/runs/{run_id}/cancel").json()

    assert (answer["status"], answer["is_stopping"]) == ("running", True)


def test_it_does_not_cancel_what_has_ended(client: TestClient, scene: Scene) -> None:
    run_id = scene.run()
    scene.finish(scene.claim())

    answer = client.post(f"/api/v1/runs/{run_id}/cancel")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "run-ended")


def test_it_shows_a_checkpoint_and_hands_out_its_files(client: TestClient, scene: Scene, storage: LocalStorage) -> None:
    run_id = scene.run()
    claim = scene.claim()
    stored = stored_checkpoint()
    with scene.database.write() as session:
        progress.record_checkpoint(session, claim, stage_finished(0), stored, Standing())
    folder: Path = storage.folder("checkpoints", stored.folder)
    (folder / "model.onnx").write_bytes(b"onnx")
    (folder / "weights.safetensors").write_bytes(b"weights")
    address = f"/api/v1/checkpoints/{stored.id}"

    checkpoint = client.get(address).json()
    onnx, weights = client.get(f"{address}/export"), client.get(f"{address}/export?format=safetensors")
    other = client.get(f"{address}/export?format=torchscript")

    assert (checkpoint["run_id"], checkpoint["stage"], checkpoint["classes"]) == (run_id, 0, ["bear", "cat"])
    assert checkpoint["metrics"]["valid"]["errors"] == 4
    # The second name is the one of earlier versions.
    assert checkpoint["preprocessing"] == {"size": 224, "std": [0.2, 0.2, 0.3], "deviation": [0.2, 0.2, 0.3]}
    assert (onnx.content, weights.content) == (b"onnx", b"weights")
    assert "efficientnet-lite0-stage-1-" in onnx.headers["content-disposition"]
    assert (other.status_code, other.json()["error"]["code"]) == (422, "export-format-unavailable")
    (listed,) = client.get(f"/api/v1/runs/{run_id}").json()["checkpoints"]
    assert (listed["id"], listed["error_rate"], listed["is_best"]) == (stored.id, 0.1, True)


@pytest.mark.parametrize(("is_within_chance", "best"), [(False, 1), (True, 0)])
def test_a_runs_best_checkpoint_is_marked(
    client: TestClient, scene: Scene, *, is_within_chance: bool, best: int
) -> None:
    run_id = scene.run()
    claim = scene.claim()
    with scene.database.write() as session:
        for stage, errors in enumerate((4, 3)):
            figures = {"images": 40, "errors": errors, "error_rate": errors / 40, "loss": 0.4}
            marks = {"is_within_chance": True} if is_within_chance and stage == 1 else {}
            stored = stored_checkpoint()
            stored = replace(stored, content={**stored.content, "metrics": {"valid": figures | marks}})
            progress.record_checkpoint(session, claim, stage_finished(stage), stored, Standing())

    listed = client.get(f"/api/v1/runs/{run_id}").json()["checkpoints"]

    assert [one["is_best"] for one in listed] == [best == 0, best == 1]


def test_it_shows_when_a_file_is_gone(client: TestClient, scene: Scene) -> None:
    scene.run()
    claim, stored = scene.claim(), stored_checkpoint()
    with scene.database.write() as session:
        progress.record_checkpoint(session, claim, stage_finished(0), stored, Standing())

    gone = client.get(f"/api/v1/checkpoints/{stored.id}/export")
    unknown = client.get("/api/v1/checkpoints/nobodys/export")

    assert (gone.status_code, gone.json()["error"]["code"]) == (503, "export-missing")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "checkpoint-not-found")


def test_a_damaged_file_is_not_handed_out(client: TestClient, scene: Scene, storage: LocalStorage) -> None:
    scene.run()
    claim, stored = scene.claim(), stored_checkpoint()
    with scene.database.write() as session:
        progress.record_checkpoint(session, claim, stage_finished(0), stored, Standing())
    folder: Path = storage.folder("checkpoints", stored.folder)
    (folder / "checkpoint.json").write_text(f'{{"onnx_sha256": "{"0" * 64}", "weights_sha256": "{"0" * 64}"}}')
    for name in ("model.onnx", "weights.safetensors"):
        (folder / name).write_bytes(b"damaged")

    for form in ("onnx", "safetensors"):
        answer = client.get(f"/api/v1/checkpoints/{stored.id}/export?format={form}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model-damaged")


def test_it_continues_from_a_checkpoint_of_the_same_architecture(client: TestClient, scene: Scene) -> None:
    version_id = scene.version()
    scene.run(version_id)
    claim = scene.claim()
    stored = stored_checkpoint()
    with scene.database.write() as session:
        progress.record_checkpoint(session, claim, stage_finished(0), stored, Standing())
    body = {"version_id": version_id, "starts_from": stored.id}

    same = client.post("/api/v1/runs", json=body)
    other = client.post("/api/v1/runs", json={**body, "config": {"architecture": "resnet34"}})
    unknown = client.post("/api/v1/runs", json={**body, "starts_from": "nobodys"})

    assert (same.json()["starts_from"], same.json()["config"]["architecture"]) == (stored.id, "efficientnet-lite0")
    assert (other.status_code, other.json()["error"]["code"]) == (422, "starts-from-differs")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "checkpoint-not-found")


def test_it_lists_architectures_and_what_is_at_hand(client: TestClient) -> None:
    items = client.get("/api/v1/architectures").json()["items"]

    assert [item["name"] for item in items] == [
        "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "resnet18", "resnet34", "resnet50",
    ]  # fmt: skip
    assert items[0]["weights"][0]["at_hand"] is True
    assert items[3]["weights"][0] == {
        "name": "IMAGENET1K_V1",
        "source": "download",
        "at_hand": False,
        "file_name": "resnet18-f37072fd.pth",
        "bytes": 46830571,
    }


def test_it_searches_timms_networks_by_words_of_their_names(client: TestClient) -> None:
    items = client.get("/api/v1/architectures?search=vit_small dinov3&limit=2").json()["items"]

    assert [(item["name"], item["family"], item["license"]) for item in items] == [
        ("vit_small_patch16_dinov3.lvd1689m", "eva", "dinov3-license"),
        ("vit_small_patch16_dinov3_qkvb.eupe_lvd1689m", "eva", "fair-noncommercial-research-license"),
    ]
    assert (items[0]["parameters"], items[0]["layer_groups"], items[0]["default_image_size"]) == (None, None, 256)
    assert items[0]["weights"][0]["file_name"] == "vit_small_patch16_dinov3.lvd1689m.safetensors"


def test_a_network_that_is_searched_by_its_whole_name_is_described(client: TestClient, tmp_path: Path) -> None:
    (item,) = client.get("/api/v1/architectures?search=test_convnext.r160_in1k").json()["items"]

    assert (item["parameters"], item["layer_groups"]) == (272_128, 6)
    assert item["weights"][0]["at_hand"] is False


def test_a_training_may_name_any_network_of_timm(client: TestClient, version_id: VersionId) -> None:
    body = {"version_id": version_id, "config": {"architecture": "test_convnext", "image_size": 96}}

    answer = client.post("/api/v1/runs", json=body)
    sent_again = client.post("/api/v1/runs?dry_run=true", json=body | {"config": answer.json()["config"]})

    config = answer.json()["config"]
    assert (answer.status_code, config["architecture"], config["weights"]) == (
        201, "test_convnext.r160_in1k", "r160_in1k",
    )  # fmt: skip
    assert config["network"]["features"] == 64
    # Stages that are sent are no longer planned for a time.
    assert sent_again.json()["config"] == config | {"minutes": None}


def test_a_name_that_timm_does_not_have_is_answered_with_near_ones(client: TestClient, version_id: VersionId) -> None:
    body = {"version_id": version_id, "config": {"architecture": "convnxt_tiny.in12k_ft_in1k"}}

    answer = client.post("/api/v1/runs", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "architecture-unknown")
    assert answer.json()["error"]["details"]["near"][0] == "convnext_tiny.in12k_ft_in1k"


def test_a_size_that_a_transformer_cannot_divide_is_refused(client: TestClient, version_id: VersionId) -> None:
    body = {"version_id": version_id, "config": {"architecture": "test_vit", "image_size": 100}}

    answer = client.post("/api/v1/runs", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "image-size-unsuitable")
    assert answer.json()["error"]["details"]["possible"] == [96, 112]
