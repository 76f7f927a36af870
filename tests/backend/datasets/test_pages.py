"""Pages of a dataset, read without scripts: what they show and what their forms do."""

from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.ids import new_id
from backend.tables.ledger import JobRow
from tests.backend.datasets.conftest import Ana
from tests.fixtures.archives import named_in, zipped
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


def test_a_sample_is_queued(client: TestClient) -> None:
    path = sent(client, "/datasets/sample", sample="digits")

    assert "Queued: starts as soon as a worker is free." in seen(client, path)


def test_files_can_be_brought_without_scripts(ana: Ana) -> None:
    files = [("files", ("a/1.png", encode(draw("circle", 1)))), ("files", ("a/2.png", b"no picture"))]

    answer = ana.client.post(f"/datasets/{ana.dataset_id}/upload", files=files, headers=PAGE)

    assert "1 picture added, 1 file left out." in answer.text
    assert "a/2.png" in answer.text


def test_the_page_shows_what_has_arrived(ana: Ana) -> None:
    ana.bring_shapes(2)

    text = seen(ana.client, f"/datasets/{ana.dataset_id}")

    assert "6 pictures" in text
    assert text.count('class="tile"') == 6
    assert "ok, 6" in text


def test_a_rule_that_suits_every_picture_is_proposed_with_a_button_that_trains(ana: Ana) -> None:
    ana.bring_shapes(3)

    text = seen(ana.client, f"/datasets/{ana.dataset_id}")

    assert "<strong>All 9 pictures get a label</strong> from the folder each picture is in" in text
    assert "(3 classes: circle, cross, square)" in text
    assert "Train now" in text


def test_nothing_is_proposed_while_files_are_coming(ana: Ana) -> None:
    ana.bring_shapes(3)

    assert "Train now" not in seen(ana.client, f"/datasets/{ana.dataset_id}?uploading=true")


def test_nothing_is_proposed_where_a_picture_would_have_no_label(ana: Ana) -> None:
    ana.bring_shapes(3)
    ana.bring({"loose.png": encode(draw("circle", 99))})

    text = seen(ana.client, f"/datasets/{ana.dataset_id}")

    assert "Train now" not in text
    assert "Next, choose how labels are read." in text


def test_train_now_freezes_the_proposal_and_starts_one_training_however_often_it_is_pressed(ana: Ana) -> None:
    ana.bring_shapes(8)
    fields = {"run_id": new_id()}

    first = sent(ana.client, f"/datasets/{ana.dataset_id}/train", **fields)
    second = sent(ana.client, f"/datasets/{ana.dataset_id}/train", **fields)

    assert first == second == f"/runs/{fields['run_id']}"
    [run] = ana.client.get("/api/v1/runs").json()["items"]
    assert (run["status"], run["config"]["recipe"]) == ("queued", "recommended")
    assert ana.dataset()["versions"] == 1


def test_train_now_uses_the_version_that_is_just_the_proposal(ana: Ana) -> None:
    ana.bring_shapes(8)

    for _ in range(2):
        sent(ana.client, f"/datasets/{ana.dataset_id}/train", run_id=new_id())

    assert ana.dataset()["versions"] == 1
    assert len(ana.client.get("/api/v1/runs").json()["items"]) == 2


def test_train_now_leads_to_the_labels_where_they_are_unclear(ana: Ana) -> None:
    ana.bring({"1.png": encode(draw("circle", 1)), "2.png": encode(draw("square", 2))})

    assert sent(ana.client, f"/datasets/{ana.dataset_id}/train") == f"/datasets/{ana.dataset_id}/labels"


# Imports


def test_an_import_can_be_cancelled_on_the_page(ana: Ana) -> None:
    asked = ana.send_archive(zipped({"1.png": encode(draw("circle", 1))}))
    path = f"/datasets/{ana.dataset_id}"
    assert "Cancel import" in seen(ana.client, path)

    sent(ana.client, f"{path}/imports/{asked['id']}/cancel")

    text = seen(ana.client, path)
    assert "Cancelled. 0 pictures added before that; they are kept." in text
    assert "Cancel import" not in text


def test_what_an_import_found_is_told(ana: Ana, services: Services) -> None:
    names = {"写真/猫/表1.png": encode(draw("circle", 1)), "写真/犬/ソファ2.png": encode(draw("square", 2))}
    asked = ana.send_archive(named_in("cp932", names | {"Thumbs.db": b"x", "labels.csv": b"a,b\n"}))
    ana.run(asked["id"])
    with services.database.write() as session:
        session.query(JobRow).update({"state": "succeeded"})

    text = seen(ana.client, f"/datasets/{ana.dataset_id}")

    assert (
        "Archive: 2 pictures added. 1 hidden or system file left out. 1 table of labels found. "
        "File names were read as Shift-JIS." in text
    )


def test_a_dataset_that_is_being_filled_offers_to_cancel_the_import_instead_of_its_deletion(ana: Ana) -> None:
    ana.send_archive(zipped({"1.png": encode(draw("circle", 1))}))

    text = seen(ana.client, f"/datasets/{ana.dataset_id}")

    assert "Cancel the import first, then delete the dataset." in text
    assert "Delete the dataset" not in text


# All pictures, and one of them


def test_pictures_are_filtered_by_folder(ana: Ana) -> None:
    ana.bring_shapes(2)

    text = seen(ana.client, f"/datasets/{ana.dataset_id}/images?folder=shapes/circle")

    assert "<h1 data-grid-count>2 pictures</h1>" in text
    assert text.count('class="cell"') == 2


def test_pictures_that_are_ticked_are_deleted(ana: Ana) -> None:
    ana.bring_shapes(2)
    first, second, *_ = ana.images()
    path = f"/datasets/{ana.dataset_id}/images"

    led_to = ana.client.post(
        f"{path}/delete",
        data={"ids": [first["id"], second["id"]], "back": f"{path}?folder=shapes"},
        headers=PAGE,
        follow_redirects=False,
    ).headers["location"]

    assert led_to == f"{path}?folder=shapes"
    assert "2 pictures are in the bin for 7 days." in seen(ana.client, led_to)
    assert ana.dataset()["images"] == 4


def test_deleting_leads_to_no_other_place_than_the_list(ana: Ana) -> None:
    path = f"/datasets/{ana.dataset_id}/images"

    assert sent(ana.client, f"{path}/delete", back="https://evil.example/?x=1") == path


def test_a_picture_has_a_page_with_what_is_known_of_it(ana: Ana) -> None:
    ana.bring_shapes(4)
    ana.bring({"again/0.png": encode(draw("circle", 0, 24))})
    ana.freeze({"kind": "pattern", "pattern": "/shapes/([^/]+)/"})
    image = next(image for image in ana.images() if image["path"] == "again/0.png")

    text = seen(ana.client, f"/datasets/{ana.dataset_id}/images/{image['id']}")

    for words in ("<b>circle</b>, ", "24 × 24 pixels", "PNG", "shapes/circle/0.png", "Exact copies"):
        assert words in text
    assert ana.client.get(f"/datasets/{ana.another().dataset_id}/images/{image['id']}").status_code == 404


def test_an_unknown_dataset_is_a_page_that_reports_it(client: TestClient) -> None:
    answer = client.get("/datasets/nothing", headers=PAGE)

    assert answer.status_code == 404
    assert "<h1>Page not found</h1>" in answer.text


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


def test_a_deleted_dataset_is_gone_and_its_way_back_is_offered_once(ana: Ana) -> None:
    led_to = sent(ana.client, f"/datasets/{ana.dataset_id}/delete")
    first, second = seen(ana.client, "/"), seen(ana.client, "/")

    assert led_to == "/"
    assert ana.client.get(f"/api/v1/datasets/{ana.dataset_id}").status_code == 404
    assert "“Pets” is in the bin for 7 days." in first
    assert "data-undo-line" in first
    assert "data-undo-line" not in second


def test_the_gallery_shows_one_class(ana: Ana) -> None:
    ana.bring_shapes(3)
    ana.freeze({"kind": "folder"})

    text = seen(ana.client, f"/datasets/{ana.dataset_id}/images?class=circle")

    assert "<h1 data-grid-count>3 pictures</h1>" in text
    assert text.count('class="cell"') == 3
