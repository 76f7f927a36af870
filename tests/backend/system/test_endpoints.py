"""Health, readiness, numbers and the state of the whole system."""

import re
from datetime import timedelta

import anyio
import httpx
import pytest
from anyio import fail_after, to_thread
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from backend.app import create_app
from backend.counters import PREDICTIONS
from backend.db.base import utc_now
from backend.dependencies import Services
from backend.domain.ids import new_id
from backend.settings import Settings
from backend.tables.ledger import JobRow, WorkerRow


def add_worker(services: Services, name: str, silent: timedelta, device: str | None = "cuda:0") -> None:
    row = WorkerRow(
        id=name,
        host="gpu-box",
        kinds="train",
        device=device,
        device_name="RTX 4070" if device else None,
        version="0.1.0",
        last_heartbeat_at=utc_now() - silent,
    )
    with services.database.write() as session:
        session.add(row)


def add_job(services: Services, state: str, kind: str = "train", waits: timedelta = timedelta()) -> None:
    row = JobRow(id=new_id(), kind=kind, subject_id=new_id(), state=state, created_at=utc_now() - waits)
    with services.database.write() as session:
        session.add(row)


def numbers(client: TestClient) -> dict[tuple[str, ...], float]:
    text = client.get("/metrics").text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_alive_touches_nothing(app: FastAPI, anonymous: TestClient) -> None:
    services = app.state.services
    app.state.services = None

    answer = anonymous.get("/healthz")
    app.state.services = services

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready_names_each_part(anonymous: TestClient) -> None:
    answer = anonymous.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"database": "ok", "queue": "ok", "storage": "ok", "pictures": "ok"}


@pytest.mark.parametrize(
    ("update", "part"),
    [
        ({"redis_url": "redis://127.0.0.1:1/0"}, "queue"),
        ({"database_url": "postgresql+psycopg://nobody@127.0.0.1:1/none"}, "database"),
    ],
)
def test_a_missing_part_makes_it_not_ready(settings: Settings, update: dict[str, str], part: str) -> None:
    app = create_app(settings.model_copy(update=update))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        answer = client.get("/readyz")

        assert answer.status_code == 503
        assert {name for name, word in answer.json().items() if word != "ok"} == {part}
        assert "127.0.0.1" not in answer.text
        assert client.get("/healthz").status_code == 200
    app.state.services.database.dispose()


def test_storage_that_is_gone_makes_it_not_ready(app: FastAPI, anonymous: TestClient, services: Services) -> None:
    root = services.storage.root  # type: ignore[attr-defined]  # local in tests
    for folder in sorted(root.rglob("*"), reverse=True):
        folder.rmdir()
    root.rmdir()
    root.write_text("a file where the folder was")

    assert anonymous.get("/readyz").json()["storage"] == "unavailable"


def test_the_server_at_a_glance(client: TestClient, services: Services) -> None:
    add_worker(services, "alive", timedelta(seconds=4))
    add_worker(services, "silent", timedelta(minutes=6))
    add_worker(services, "forgotten", timedelta(days=2))
    add_job(services, "queued", waits=timedelta(minutes=3))
    add_job(services, "running")

    system = client.get("/api/v1/system").json()

    workers = {worker["id"]: worker for worker in system["workers"]}
    assert set(workers) == {"alive", "silent"}
    assert workers["alive"]["alive"] is True
    assert 4 <= workers["alive"]["seconds_since_heartbeat"] < 30
    assert workers["silent"]["alive"] is False
    assert system["devices"] == [{"device": "cuda:0", "name": "RTX 4070", "host": "gpu-box"}]
    depths = {depth["kind"]: depth for depth in system["queue"]}
    assert depths["train"]["waiting"] == 1
    assert 180 <= depths["train"]["oldest_waits_s"] < 210
    assert depths["import"] == {"kind": "import", "waiting": 0, "oldest_waits_s": 0.0}
    assert system["disk"]["free_bytes"] > 0
    assert system["version"]


def test_nothing_has_run_here_yet(client: TestClient) -> None:
    system = client.get("/api/v1/system").json()

    assert (system["workers"], system["devices"]) == ([], [])


def test_numbers_for_prometheus(client: TestClient, services: Services) -> None:
    add_worker(services, "alive", timedelta(seconds=4))
    add_job(services, "queued", waits=timedelta(minutes=3))
    add_job(services, "succeeded")
    add_job(services, "queued", kind="import")
    PREDICTIONS.labels("answered").inc()

    found = numbers(client)

    assert found["tellapart_runs_total", "queued"] == 1
    assert found["tellapart_runs_total", "succeeded"] == 1
    assert found["tellapart_runs_total", "failed"] == 0
    assert found["tellapart_queue_length", "train"] == 1
    assert found["tellapart_queue_length", "import"] == 1
    assert 180 <= found["tellapart_queue_wait_seconds", "train"] < 210
    assert found["tellapart_workers_alive",] == 1
    assert found["tellapart_storage_free_bytes",] > 0
    assert found["tellapart_epoch_duration_seconds_count",] == 0
    assert found["tellapart_predictions_total", "answered"] >= 1


def test_the_api_pages_load_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/api/docs")

    assert page.status_code == 200
    assert 'href="/api/v1/openapi.json"' in page.text
    assert "POST" in page.text
    assert "/api/v1/datasets/{dataset_id}/labels/preview" in page.text
    assert len(page.content) < 400_000
    assert "<script>" not in page.text
    assert re.search(r"(?:src|href|url\()=?[\"'(]?https?://", page.text) is None
    assert "style=" not in page.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_answered_while_every_thread_is_busy(app: FastAPI, path: str) -> None:
    async def ask() -> int:
        threads = to_thread.current_default_thread_limiter()
        threads.total_tokens = 1
        threads.acquire_on_behalf_of_nowait("somebody else")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as client:
            with fail_after(20):
                answer = await client.get(path)
        return answer.status_code

    assert anyio.run(ask) == 200
