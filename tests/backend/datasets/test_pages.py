"""Pages of a dataset, read without scripts: what they show and what their forms do."""

from starlette.testclient import TestClient

from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode

PAGE = {"Accept": "text/html"}
HOSTILE = "<img src=x onerror=alert(1)>"


def seen(client: TestClient, path: str) -> str:
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == 200, answer.text
    return answer.text


def sent(client: TestClient, path: str, **fields: str) -> str:
    """Where a form leads."""
    answer = client.post(path, data=fields, headers=PAGE, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


# Bring pictures


def test_a_form_makes_a_dataset_and_leads_to_it(client: TestClient) -> None:
    path = sent(client, "/datasets", name=" Leaves ")

    assert "<h1>Leaves</h1>" in seen(client, path)


def test_joiners_in_a_name_are_kept(client: TestClient) -> None:
    path = sent(client, "/datasets", name="\u0645\u06cc\u200c\u0647\u0627\u0007")

    assert "<h1>\u0645\u06cc\u200c\u0647\u0627</h1>" in seen(client, path)


def test_a_dataset_without_a_name_is_refused_beside_the_field(client: TestClient) -> None:
    answer = client.post("/datasets", data={"name": "  "}, headers=PAGE)

    assert answer.status_code == 422
    assert "A dataset needs a name" in answer.text


def test_a_sample_waits_to_be_unpacked(client: TestClient) -> None:
    path = sent(client, "/datasets/sample", sample="digits")

    assert "Waits: handwritten digits" in seen(client, path)


def test_files_can_be_brought_without_scripts(ana: Ana) -> None:
    files = [("files", ("a/1.png", encode(draw("circle", 1)))), ("files", ("a/2.png", b"no picture"))]

    answer = ana.client.post(f"/datasets/{ana.dataset_id}/upload", files=files, headers=PAGE)

    assert "1 picture came in, 1 were left aside." in answer.text
    assert "a/2.png" in answer.text


def test_the_page_shows_what_has_arrived(ana: Ana) -> None:
    ana.bring_shapes(2)

    text = seen(ana.client, f"/datasets/{ana.dataset_id}")

    assert "6 pictures" in text
    assert text.count('class="tile"') == 6
    assert "ok, 6" in text


def test_an_unknown_dataset_is_a_page_that_says_so(client: TestClient) -> None:
    answer = client.get("/datasets/nothing", headers=PAGE)

    assert answer.status_code == 404
    assert "<h1>This isn&#39;t here</h1>" in answer.text


def test_names_are_only_text(ana: Ana) -> None:
    ana.bring({f"{HOSTILE}/{HOSTILE}{number}.png": encode(draw("cross", number)) for number in range(3)})
    ana.bring({f"plain/{number}.png": encode(draw("circle", number)) for number in range(3)})
    ana.bring({f"{HOSTILE}.png": b"no picture"})
    sent(ana.client, f"/datasets/{ana.dataset_id}/rename", name=HOSTILE)
    version = ana.freeze({"kind": "folder"})["id"]

    for path in ("", "/labels", "/images"):
        assert "<img src=x" not in seen(ana.client, f"/datasets/{ana.dataset_id}{path}")
    assert "<img src=x" not in seen(ana.client, f"/versions/{version}")
    assert "<img src=x" not in seen(ana.client, "/")


# Rename, delete


def test_it_is_renamed(ana: Ana) -> None:
    path = sent(ana.client, f"/datasets/{ana.dataset_id}/rename", name="Cats")

    assert "<h1>Cats</h1>" in seen(ana.client, path)


def test_it_goes_when_its_name_was_typed(ana: Ana) -> None:
    assert sent(ana.client, f"/datasets/{ana.dataset_id}/delete", typed="Pets") == "/"
    assert ana.client.get(f"/api/v1/datasets/{ana.dataset_id}").status_code == 404


def test_it_stays_when_another_name_was_typed(ana: Ana) -> None:
    sent(ana.client, f"/datasets/{ana.dataset_id}/delete", typed="Dogs")

    assert ana.dataset()["name"] == "Pets"


def test_the_gallery_shows_one_class(ana: Ana) -> None:
    ana.bring_shapes(3)
    ana.freeze({"kind": "folder"})

    text = seen(ana.client, f"/datasets/{ana.dataset_id}/images?class=circle")

    assert "3 pictures labelled circle" in text
    assert text.count('class="tile"') == 3
