"""The first page."""

from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.training import RunStatus
from backend.training import record as progress
from backend.training.forecast.eta import Standing
from backend.training.run_view import show_pill
from tests.backend.training.scene import Scene, stage_finished, stored_checkpoint
from tests.fixtures.pictures import folder_of_shapes

PAGE = {"Accept": "text/html"}


def test_it_asks_for_pictures_where_there_are_none(client: TestClient) -> None:
    text = client.get("/", headers=PAGE).text

    assert "Drop a folder of pictures anywhere on this page" in text
    assert "Use it: Handwritten digits" in text


def test_it_shows_datasets_with_their_faces(client: TestClient) -> None:
    dataset = client.post("/api/v1/datasets", json={"name": "Shapes"}).json()["id"]
    parts = [("files", (path, content)) for path, content in folder_of_shapes(4, size=24).items()]
    client.post(f"/api/v1/datasets/{dataset}/images", files=parts)

    text = client.get("/", headers=PAGE).text

    assert "Shapes" in text
    assert "12 pictures" in text
    assert text.count('class="thumb"') == 9
    assert "labels not set yet" in text


def test_it_pages_through_many_datasets(client: TestClient) -> None:
    for number in range(25):
        client.post("/api/v1/datasets", json={"name": f"Set {number}"})

    text = client.get("/", headers=PAGE).text

    assert "Set 24" in text
    assert ">Set 0<" not in text
    assert "Older ones" in text


def test_it_shows_the_best_model_of_a_dataset(client: TestClient, database: Database) -> None:
    scene = Scene(database)
    scene.run()
    claim = scene.claim()
    with database.write() as session:
        progress.record_checkpoint(session, claim, stage_finished(0), stored_checkpoint(), Standing())

    text = client.get("/", headers=PAGE).text

    # 4 of 40, as the checkpoint says.
    assert '<strong class="number">90 %</strong> right' in text
    assert "(likely 77 to 96 %)" in text
    assert "not trained yet" not in text


def test_running_jobs_are_listed_before_waiting_ones(client: TestClient, database: Database) -> None:
    scene = Scene(database)
    version_id = scene.version()
    at_work, next_one, last = (scene.run(version_id) for _ in range(3))
    scene.claim()

    text = client.get("/", headers=PAGE).text

    places = [text.index(f'href="/runs/{run_id}"') for run_id in (at_work, next_one, last)]
    assert places == sorted(places)
    assert "Next up" in text
    assert "number 2 in the queue" in text


def test_the_pill_is_of_what_is_at_work_though_another_waits(database: Database) -> None:
    scene = Scene(database)
    version_id = scene.version()
    at_work = scene.run(version_id)
    scene.claim()
    scene.run(version_id)

    with database.read() as session:
        pill = show_pill(session)

    assert pill is not None
    assert (pill.run_id, pill.status) == (at_work, RunStatus.RUNNING)


def test_a_theme_can_be_chosen_without_scripts(client: TestClient) -> None:
    answer = client.post("/theme", data={"theme": "dark"}, follow_redirects=False)

    assert answer.status_code == 303
    assert "tellapart-theme=dark" in answer.headers["set-cookie"]


def test_a_page_finds_out_whether_the_server_still_knows_its_reader(client: TestClient, anonymous: TestClient) -> None:
    headers = {"HX-Request": "true"}

    assert client.get("/session", headers=headers).status_code == 204
    assert anonymous.get("/session", headers=headers).status_code == 401
