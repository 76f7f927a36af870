"""Which pictures are offered for labelling by hand, with and without features of theirs."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from backend.datasets.examine.embeddings import read_embeddings
from backend.domain.json import Json
from tests.backend.datasets.conftest import Ana
from tests.backend.datasets.test_pages import seen, sent
from tests.fixtures.pictures import draw, encode


def flat(ana: Ana, count: int) -> list[str]:
    """Pictures whose names say nothing; their ids."""
    ana.bring({f"{number}.png": encode(draw("circle", number, 16)) for number in range(count)})
    return [image["id"] for image in ana.images()]


def ask(ana: Ana, query: str = "") -> Json:
    answer = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/labels/queue?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def give(ana: Ana, labels: dict[str, str | None]) -> None:
    changes = [{"image_id": image_id, "label": label} for image_id, label in labels.items()]
    assert ana.client.patch(f"/api/v1/datasets/{ana.dataset_id}/labels", json={"changes": changes}).status_code == 200


def write_features(folder: Path, dataset_id: str, ids: list[str], values: NDArray[np.float32]) -> None:
    """As the job that examines pictures writes them."""
    letters = np.array([list(image_id.ljust(36).encode()) for image_id in ids], dtype=np.uint8)
    (folder / "embeddings").mkdir(parents=True, exist_ok=True)
    file = folder / "embeddings" / f"{dataset_id}.safetensors"
    save_file({"ids": letters, "values": values.astype(np.float16)}, file)


def test_without_features_the_order_is_random_and_says_so(ana: Ana) -> None:
    ids = flat(ana, 6)
    give(ana, {ids[0]: "ring", ids[1]: None})

    found = ask(ana)

    assert (found["left"], found["images"], found["labelled"]) == (4, 6, 1)
    assert {item["image_id"] for item in found["items"]} == set(ids[2:])
    assert found["policy"]["code"] == "random"
    assert "haven't been examined yet" in found["policy"]["message"]
    assert found["classes"] == [{"name": "ring", "images": 1}]
    assert ana.client.get(found["items"][0]["large_url"]).status_code == 200


def test_with_features_the_labels_so_far_propose_the_rest(ana: Ana) -> None:
    ids = flat(ana, 30)
    kinds = np.arange(30) % 2
    values = np.stack([kinds + 0.01 * np.arange(30), 1 - kinds, np.ones(30)], axis=1).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    write_features(ana.services.settings.features_folder, ana.dataset_id, ids, values)

    first = ask(ana, "limit=30")
    give(ana, {ids[number]: "odd" if number % 2 else "even" for number in range(12)})
    then = ask(ana, "limit=30")

    assert (first["policy"]["code"], then["policy"]["code"]) == ("centres", "margin")
    assert [item["proposal"] for item in first["items"]] == [None] * 30
    proposed = {item["image_id"]: item["proposal"]["label"] for item in then["items"]}
    assert proposed == {ids[number]: "odd" if number % 2 else "even" for number in range(12, 30)}


def test_damaged_features_count_as_none(ana: Ana, tmp_path: Path) -> None:
    (tmp_path / "embeddings").mkdir()
    (tmp_path / "embeddings" / "d.safetensors").write_bytes(b"\x00" * 40)

    assert read_embeddings(tmp_path, "d") is None
    assert read_embeddings(tmp_path, "other") is None


def test_other_pictures_come_by_path_and_in_pages(ana: Ana) -> None:
    ana.bring_shapes(2)
    ana.client.put(f"/api/v1/datasets/{ana.dataset_id}/labels/rule", json={"rule": {"kind": "folder"}})

    first = ask(ana, "show=all&limit=4")
    rest = ask(ana, f"show=all&limit=4&after={first['next']}")

    assert [item["path"].removeprefix("shapes/") for item in first["items"] + rest["items"]] == [
        "circle/0.png", "circle/1.png", "cross/0.png", "cross/1.png", "square/0.png", "square/1.png",
    ]  # fmt: skip
    assert (first["policy"]["code"], rest["next"]) == ("path", None)
    assert [item["label"] for item in ask(ana, "show=all&class=cross")["items"]] == ["cross", "cross"]


def test_contradictory_copies_are_offered(ana: Ana) -> None:
    picture = encode(draw("circle", 1))
    ana.bring({"cat/1.png": picture, "dog/1.png": picture, "dog/2.png": encode(draw("cross", 1))})
    ana.client.put(f"/api/v1/datasets/{ana.dataset_id}/labels/rule", json={"rule": {"kind": "folder"}})

    offered = ask(ana, "show=conflicts")["items"]
    give(ana, {offered[0]["image_id"]: "dog"})

    assert [item["path"] for item in offered] == ["cat/1.png"]
    assert ask(ana, "show=conflicts")["items"] == []


def test_without_scripts_the_page_labels_one_picture_after_the_other(ana: Ana) -> None:
    ids = flat(ana, 2)
    page = f"/datasets/{ana.dataset_id}/labels/by-hand"

    assert "There is no class yet" in seen(ana.client, page)
    path = sent(ana.client, page, image_id=ids[0], new="ring")
    text = seen(ana.client, path)

    assert 'value="ring"' in text
    assert 'alt="Picture to label: 1.png"' in text
    sent(ana.client, page, image_id=ids[1], action="drop")
    assert "Every picture has a label or is left out" in seen(ana.client, page)
