import pytest
from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.events import Phase, PhaseProgress, RateFound
from backend.domain.ids import new_id
from backend.domain.lr_finder import Finding, curve_of, finding
from backend.ledger.claiming import claim_next
from backend.ledger.job import TRAINER_CRASHED, Claim, Failure, JobKind, LostLease, Outcome, Worker
from backend.ledger.repository import Ledger
from backend.ledger.timers import Timers
from backend.system.repository import SystemRepository
from backend.training.forecast.eta import Standing
from backend.training.lr_finds import record as progress
from backend.training.phases import phase_in_words
from backend.training.record import record_events
from tests.backend.training.scene import COUNTS
from tests.fixtures.versions import add_version

CURVE = curve_of([[3.0 - 0.02 * step for step in range(100)], [3.1 - 0.02 * step for step in range(100)]], 100)
FOUND = finding(CURVE, freeze=True)


@pytest.fixture
def version_id(services: Services) -> str:
    with services.database.write() as session:
        return add_version(session, COUNTS)


@pytest.fixture
def find_id(client: TestClient, version_id: str) -> str:
    answer = client.post("/api/v1/lr-finds", json={"version_id": version_id})
    return str(answer.json()["id"])


@pytest.fixture
def claim(services: Services, find_id: str) -> Claim:
    found = claim_next(services.database, JobKind.TRAIN, Worker("worker-1", "host-1"), Timers())
    assert found is not None
    assert found.subject_id == find_id
    return found


def finished(services: Services, claim: Claim, found: Finding = FOUND) -> None:
    with services.database.write() as session:
        progress.finish(session, claim, CURVE, found)


def test_it_queues_a_search_for_the_stage_that_asks_for_one(client: TestClient, version_id: str) -> None:
    config = {"stages": [{"freeze": True, "epochs": 1}, {"freeze": False, "epochs": 2, "max_lr": "find"}]}
    answer = client.post("/api/v1/lr-finds", json={"version_id": version_id, "config": config})

    body = answer.json()
    assert (answer.status_code, body["status"], body["queue_position"], body["progress"]) == (201, "queued", 1, 0.0)
    assert [(stage["freeze"], stage["max_lr"]) for stage in body["config"]["stages"]] == [(False, "find")]
    assert (body["losses"], body["suggestions"]["valley"], body["chosen"]) == ([], None, None)


def test_without_such_a_stage_it_is_for_the_first(client: TestClient, version_id: str) -> None:
    body = client.post("/api/v1/lr-finds", json={"version_id": version_id, "config": {"recipe": "lesson-1"}}).json()

    assert [(stage["freeze"], stage["max_lr"]) for stage in body["config"]["stages"]] == [(True, "find")]


def test_the_same_key_queues_one_search(client: TestClient, version_id: str) -> None:
    first, second = (
        client.post("/api/v1/lr-finds", json={"version_id": version_id}, headers={"Idempotency-Key": "a1"})
        for _ in range(2)
    )

    assert first.json()["id"] == second.json()["id"]
    assert len(client.get("/api/v1/lr-finds").json()["items"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"version_id": "nothing"}, 404, "version-not-found"),
        ({"starts_from": "nothing"}, 404, "checkpoint-not-found"),
        ({"run_id": "nothing"}, 404, "run-not-found"),
        ({"config": {"architecture": "no-such-network"}}, 422, "architecture-unknown"),
    ],
)
def test_it_refuses_what_it_cannot_search_for(
    client: TestClient, version_id: str, body: dict[str, object], status: int, code: str
) -> None:
    answer = client.post("/api/v1/lr-finds", json={"version_id": version_id, **body})

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_an_unknown_search_is_not_found(client: TestClient) -> None:
    for answer in (client.get("/api/v1/lr-finds/nothing"), client.post("/api/v1/lr-finds/nothing/cancel")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "lr-find-not-found")


def test_it_shows_how_far_it_is(client: TestClient, services: Services, claim: Claim) -> None:
    with services.database.write() as session:
        progress.begin(session, claim)
        words = phase_in_words(PhaseProgress(Phase.RATE, 120, 300))
        progress.show(session, claim, phase=words, progress=0.4)

    body = client.get(f"/api/v1/lr-finds/{claim.subject_id}").json()
    assert (body["status"], body["phase"], body["progress"]) == (
        "running",
        "Learning-rate finder: 120 of 300 steps",
        0.4,
    )


def test_a_finished_one_has_curve_band_rules_choice_and_reason(
    client: TestClient, services: Services, claim: Claim
) -> None:
    finished(services, claim)

    body = client.get(f"/api/v1/lr-finds/{claim.subject_id}").json()
    assert (body["status"], body["progress"], len(body["learning_rates"])) == ("succeeded", 1.0, 85)
    assert [body[name][0] for name in ("losses_low", "losses", "losses_high")] == pytest.approx([2.8, 2.85, 2.9])
    assert (body["rule"], body["chosen"], body["max_lr"], body["tries"]) == ("valley", 1.2e-3, 1.2e-3, 2)
    assert body["suggestions"]["valley"] == pytest.approx(1.2e-3, rel=0.01)
    assert "1.2e-3 is about the middle of the long slope" in body["explanation"]


def test_a_pair_is_found_for_a_stage_in_which_everything_learns(
    client: TestClient, services: Services, claim: Claim
) -> None:
    finished(services, claim, finding(CURVE, freeze=False))

    assert client.get(f"/api/v1/lr-finds/{claim.subject_id}").json()["max_lr"] == [1.2e-5, 1.2e-4]


def test_who_was_overtaken_writes_nothing(client: TestClient, services: Services, claim: Claim) -> None:
    with services.database.write() as session:
        Ledger(session).close(claim.job_id, claim.attempt, Outcome.CRASHED, failure=TRAINER_CRASHED)

    with pytest.raises(LostLease):
        finished(services, claim)
    assert client.get(f"/api/v1/lr-finds/{claim.subject_id}").json()["status"] == "queued"


def test_a_failed_one_shows_why(client: TestClient, services: Services, claim: Claim) -> None:
    with services.database.write() as session:
        progress.fail(session, claim, Failure("out-of-memory", "The memory is too small.", "Take fewer at a time."))

    body = client.get(f"/api/v1/lr-finds/{claim.subject_id}").json()
    assert (body["status"], body["failure"]["message"]) == ("failed", "The memory is too small.")


def test_one_that_waits_is_cancelled_at_once_and_again_without_harm(client: TestClient, find_id: str) -> None:
    answers = [client.post(f"/api/v1/lr-finds/{find_id}/cancel") for _ in range(2)]

    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(202, "cancelled")] * 2


def test_one_that_has_ended_cannot_be_cancelled(client: TestClient, services: Services, claim: Claim) -> None:
    finished(services, claim)

    answer = client.post(f"/api/v1/lr-finds/{claim.subject_id}/cancel")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "lr-find-ended")


def test_what_was_cancelled_meanwhile_has_no_result(client: TestClient, services: Services, claim: Claim) -> None:
    client.post(f"/api/v1/lr-finds/{claim.subject_id}/cancel")
    finished(services, claim)

    body = client.get(f"/api/v1/lr-finds/{claim.subject_id}").json()
    assert (body["status"], body["losses"]) == ("cancelled", [])


def test_they_are_listed_by_version_the_newest_first(client: TestClient, version_id: str) -> None:
    ids = [client.post("/api/v1/lr-finds", json={"version_id": version_id}).json()["id"] for _ in range(3)]

    first = client.get(f"/api/v1/lr-finds?version={version_id}&limit=2").json()
    second = client.get(f"/api/v1/lr-finds?version={version_id}&limit=2&after={first['next']}").json()
    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert client.get(f"/api/v1/lr-finds?version={new_id()}").json() == {"items": [], "next": None}


def test_a_search_is_no_run(client: TestClient, services: Services, claim: Claim) -> None:
    assert client.get("/api/v1/runs").json()["items"] == []
    assert client.get(f"/api/v1/runs/{claim.subject_id}").status_code == 404
    with services.database.read() as session:
        assert sum(SystemRepository(session).runs_by_state().values()) == 0


def test_a_run_is_behind_the_search_before_it_in_the_queue(client: TestClient, version_id: str, find_id: str) -> None:
    assert client.post("/api/v1/runs", json={"version_id": version_id}).json()["queue_position"] == 2


def test_pages_and_system_bear_a_search_at_work(client: TestClient, claim: Claim) -> None:
    for path in ("/", "/runs", "/api/v1/system", "/metrics"):
        assert client.get(path).status_code == 200, path


def test_a_run_that_searches_its_rate_shows_what_was_found(
    client: TestClient, services: Services, version_id: str
) -> None:
    stages = [{"freeze": True, "epochs": 1, "max_lr": "find"}, {"freeze": False, "epochs": 1, "max_lr": "find"}]
    body = client.post("/api/v1/runs", json={"version_id": version_id, "config": {"stages": stages}}).json()
    assert body["rates_found"] == [None, None]
    claim = claim_next(services.database, JobKind.TRAIN, Worker("worker-1", "host-1"), Timers())
    assert claim is not None

    found = [
        RateFound(0, 2.5e-3, (1e-3,), (0.5,), {"valley": 2.5e-3}),
        RateFound(1, (2.5e-5, 2.5e-4), (1e-3,), (0.5,), {"valley": 2.5e-3}),
    ]
    with services.database.write() as session:
        record_events(session, claim, found, Standing())

    run = client.get(f"/api/v1/runs/{body['id']}").json()
    assert run["rates_found"] == [2.5e-3, [2.5e-5, 2.5e-4]]
    assert [stage["max_lr"] for stage in run["config"]["stages"]] == ["find", "find"]
    page = client.get(f"/runs/{body['id']}").text
    assert page.count("<dt>Rate that the search found</dt>") == 2
    assert "<dt>Rate that the search found</dt><dd>2.5e-3</dd>" in page
    assert "<dt>Rate that the search found</dt><dd>2.5e-5 to 2.5e-4</dd>" in page
    assert "the learning-rate finder chose 2.5e-5 to 2.5e-4" in page
