"""Datasets, runs and classes are found by a part of their names."""

from starlette.testclient import TestClient

from backend.db.session import Database
from backend.home.search import Found, search
from tests.backend.training.scene import Scene

PAGE = {"Accept": "text/html"}


def found(database: Database, text: str) -> list[Found]:
    with database.read() as session:
        return search(session, text)


def test_a_dataset_is_found_whatever_the_case_of_its_letters(client: TestClient, database: Database) -> None:
    dataset = client.post("/api/v1/datasets", json={"name": "Äpfel and pears"}).json()["id"]

    assert found(database, "äPFEL") == [Found("Dataset", "Äpfel and pears", "", f"/datasets/{dataset}")]


def test_signs_of_patterns_are_only_signs(client: TestClient, database: Database) -> None:
    client.post("/api/v1/datasets", json={"name": "plain"})

    assert found(database, "%") == []


def test_a_run_is_found_with_its_dataset(database: Database) -> None:
    scene = Scene(database)
    run_id = scene.run()
    name = scene.view(run_id).name

    assert found(database, name.upper()) == [Found("Run", name, "Shapes", f"/runs/{run_id}")]


def test_a_class_leads_to_its_pictures(database: Database) -> None:
    version_id = Scene(database).version()

    classes = found(database, "bear")

    assert [(one.kind, one.words, one.of) for one in classes] == [("Class", "bear", "Shapes")]
    assert classes[0].path.endswith(f"/images?version={version_id}&class=bear")


def test_nothing_typed_finds_nothing(database: Database) -> None:
    Scene(database).version()

    assert found(database, "  ") == []


def test_the_page_works_without_scripts(client: TestClient) -> None:
    client.post("/api/v1/datasets", json={"name": "<b>bold</b>"})

    text = client.get("/search", params={"q": "bold"}, headers=PAGE).text

    assert "&lt;b&gt;bold&lt;/b&gt;" in text
    assert "Nothing is called “nothing”." in client.get("/search", params={"q": "nothing"}, headers=PAGE).text
