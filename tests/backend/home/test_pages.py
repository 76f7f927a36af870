"""The first page."""

from starlette.testclient import TestClient

from tests.fixtures.pictures import folder_of_shapes

PAGE = {"Accept": "text/html"}


def test_it_asks_for_pictures_where_there_are_none(client: TestClient) -> None:
    text = client.get("/", headers=PAGE).text

    assert "Drop a folder of pictures anywhere on this page" in text
    assert "Try handwritten digits" in text


def test_it_shows_datasets_with_their_faces(client: TestClient) -> None:
    dataset = client.post("/api/v1/datasets", json={"name": "Shapes"}).json()["id"]
    parts = [("files", (path, content)) for path, content in folder_of_shapes(4, size=24).items()]
    client.post(f"/api/v1/datasets/{dataset}/images", files=parts)

    text = client.get("/", headers=PAGE).text

    assert "Shapes" in text
    assert "12 pictures" in text
    assert text.count('class="thumb"') == 9
    assert "labels not read yet" in text


def test_it_pages_through_many_datasets(client: TestClient) -> None:
    for number in range(25):
        client.post("/api/v1/datasets", json={"name": f"Set {number}"})

    text = client.get("/", headers=PAGE).text

    assert "Set 24" in text
    assert ">Set 0<" not in text
    assert "Older ones" in text


def test_a_theme_can_be_chosen_without_scripts(client: TestClient) -> None:
    answer = client.post("/theme", data={"theme": "dark"}, follow_redirects=False)

    assert answer.status_code == 303
    assert "tellapart-theme=dark" in answer.headers["set-cookie"]
