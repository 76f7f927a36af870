"""The page of a dataset's health, read without scripts."""

from PIL import Image

from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode

PAGE = {"Accept": "text/html"}


def seen(ana: Ana, path: str) -> str:
    answer = ana.client.get(path, headers=PAGE)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_blank_picture_is_left_out_by_a_button_and_comes_back_by_another(ana: Ana) -> None:
    ana.bring({f"{label}/{at}.png": encode(draw(label, at)) for label in ("circle", "cross") for at in range(4)})
    ana.bring({"cross/blank.png": encode(Image.new("RGB", (40, 40)))})
    ana.freeze({"kind": "folder"}, {"kind": "random", "valid": 0.5})
    page = f"/datasets/{ana.dataset_id}/health"

    assert "1 picture shows nearly nothing." in seen(ana, page)
    assert "No very small pictures" in seen(ana, page)
    fields = {"finding": "blank", "action": "leave_out"}
    left_out = ana.client.post(page, data=fields, headers=PAGE, follow_redirects=False)

    after = seen(ana, left_out.headers["location"])
    assert "1 picture shows nearly nothing." not in after
    assert "1 label differs from version 1, which trainings read." in after
    batch_id = left_out.headers["location"].partition("done=")[2]
    ana.client.post(f"{page}/undo", data={"batch_id": batch_id}, headers=PAGE)
    assert "1 picture shows nearly nothing." in seen(ana, page)


def test_the_worst_findings_stand_beside_the_first_batch(ana: Ana) -> None:
    ana.bring({f"cross/{at}.png": encode(draw("cross", at)) for at in range(4)})
    ana.bring({"cross/blank.png": encode(Image.new("RGB", (40, 40)))})

    part = seen(ana, f"/datasets/{ana.dataset_id}/health/worst")

    assert "1 thing to look at" in part
    assert "1 picture shows nearly nothing." in part
    assert "<html" not in part
