"""The samples that are downloaded, from a server of the tests that has archives of the same layouts, only smaller."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import product

import pytest

from backend.datasets.samples import SAMPLES, SampleDownload
from backend.datasets.sources.opening import Elsewhere
from tests.backend.datasets.sources.conftest import Importer
from tests.fixtures.archives import tarred
from tests.fixtures.pictures import draw, encode
from tests.fixtures.web_server import WebServer, body

Publish = Callable[[str, Mapping[str, bytes]], None]


def pictures(names: list[str]) -> dict[str, bytes]:
    """A different picture for each name."""
    return {name: encode(draw(("circle", "square")[number % 2], number)) for number, name in enumerate(names)}


def in_folders(top: str, sides: Iterable[str], classes: Iterable[str], names: Iterable[str]) -> list[str]:
    """Paths of the same files in a folder for each class on each side."""
    return [f"{top}/{side}/{name}/{file}" for side, name, file in product(sides, classes, names)]


LAYOUTS: dict[str, tuple[dict[str, bytes], list[str], list[str], tuple[int, int, int]]] = {
    # What is in the archive; classes; paths of some pictures; how many are trained on, validated on, tested on.
    "pets": (
        pictures([f"oxford-iiit-pet/images/{breed}_{n}.jpg" for breed in ("Abyssinian", "pug") for n in range(10)])
        | pictures([f"oxford-iiit-pet/annotations/trimaps/{breed}_1.png" for breed in ("Abyssinian", "pug")])
        | {"oxford-iiit-pet/images/Abyssinian_100.mat": b"x", "oxford-iiit-pet/annotations/trimaps/._a_1.png": b"x"},
        ["Abyssinian", "pug"],
        ["oxford-iiit-pet/images/Abyssinian_0.jpg"],
        (16, 4, 0),
    ),
    "mnist-sample": (
        pictures(
            [f"mnist_sample/{side}/{digit}/{n}.png" for side in ("train", "valid") for digit in "37" for n in range(3)]
        )
        | {"mnist_sample/labels.csv": b"name,label\ntrain/3/0.png,0\n"},
        ["3", "7"],
        ["mnist_sample/train/3/0.png"],
        (6, 6, 0),
    ),
    "mnist": (
        pictures(
            [
                f"mnist_png/{side}/{digit}/{n}.png"
                for side in ("training", "testing")
                for digit in "01"
                for n in range(2)
            ]
        ),
        ["0", "1"],
        ["mnist_png/training/0/0.png"],
        (4, 4, 0),
    ),
    "imagenette": (
        pictures(in_folders("imagenette2-320", ("train", "val"), ("n01440764", "n03888257"), ("0.JPEG", "1.JPEG")))
        | {"imagenette2-320/noisy_imagenette.csv": b"path,noisy_labels_0\n"},
        ["parachute", "tench"],
        ["imagenette2-320/train/tench/0.JPEG"],
        (4, 4, 0),
    ),
    "food-101": (
        pictures([f"food-101/images/{dish}/{n}.jpg" for dish in ("apple_pie", "waffles") for n in range(10)])
        | {"food-101/meta/train.txt": b"apple_pie/0\n", "food-101/README.txt": b"x"},
        ["apple_pie", "waffles"],
        ["food-101/images/apple_pie/0.jpg"],
        (16, 4, 0),
    ),
    "flowers-102": (
        pictures([f"oxford-102-flowers/jpg/image_0000{n}.jpg" for n in range(8)])
        | {
            "oxford-102-flowers/train.txt": b"jpg/image_00000.jpg 76\njpg/image_00001.jpg 3\njpg/image_00002.jpg 76\n",
            "oxford-102-flowers/valid.txt": b"jpg/image_00003.jpg 76\njpg/image_00004.jpg 3\n",
            "oxford-102-flowers/test.txt": b"jpg/image_00005.jpg 3\njpg/image_00006.jpg 76\njpg/image_00007.jpg 3\n",
        },
        ["3", "76"],
        ["oxford-102-flowers/jpg/image_00000.jpg"],
        (3, 2, 3),
    ),
    "cifar-10": (
        pictures(
            [
                f"cifar10/{side}/{kind}/{n}.png"
                for side in ("train", "test")
                for kind in ("cat", "ship")
                for n in range(2)
            ]
        )
        | {"cifar10/labels.txt": b"cat\nship\n"},
        ["cat", "ship"],
        ["cifar10/train/cat/0.png"],
        (4, 4, 0),
    ),
}


@pytest.fixture
def publish(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Offers an archive as that of a sample."""

    def offer(name: str, files: Mapping[str, bytes]) -> None:
        archive = tarred(dict(files))
        server.answers[f"/{name}.tgz"] = body(archive, "application/x-tar")
        download = SampleDownload(f"{server.url}/{name}.tgz", len(archive), hashlib.md5(archive).hexdigest())
        monkeypatch.setitem(SAMPLES, name, replace(SAMPLES[name], download=download))

    return offer


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_sample_arrives_with_its_classes_and_its_split_proposed(
    importer: Importer, publish: Publish, name: str
) -> None:
    files, classes, paths, (train, valid, test) = LAYOUTS[name]
    publish(name, files)

    done = importer.run(importer.ask(sample=name)["id"])
    best = importer.ana.client.post(f"/api/v1/datasets/{importer.ana.dataset_id}/labels/suggestions", json={}).json()
    best = best["items"][0]
    frozen = importer.ana.freeze(best["rule"], best["split"])

    assert done["rejected"] == []
    assert set(paths) <= set(importer.paths())
    assert frozen["classes"] == classes
    sides = {side: sum(counts[side] for counts in frozen["counts"].values()) for side in ("train", "valid", "test")}
    assert sides == {"train": train, "valid": valid, "test": test}
    assert best["rule"].items() >= SAMPLES[name].rule.items()


def test_every_sample_on_the_shelf_is_tested_and_says_what_it_must(importer: Importer) -> None:
    shelf = importer.ana.client.get("/api/v1/samples").json()["items"]

    assert {sample["name"] for sample in shelf} == {"digits", *LAYOUTS}
    assert [sample["name"] for sample in shelf if sample["at_hand_offline"]] == ["digits"]
    for sample in shelf:
        assert sample["licence"]
        assert sample["citation"]
        assert sample["rule"]["kind"]
        assert (sample["published_error_rate"] is None) == (sample["published_error_source"] is None)
        assert sample["at_hand_offline"] or sample["download_bytes"] > 1_000_000
        assert sample["at_hand_offline"] or len(sample["download_md5"]) == 32


def test_an_archive_that_is_not_the_published_one_is_not_used(
    importer: Importer, publish: Publish, server: WebServer
) -> None:
    publish("cifar-10", LAYOUTS["cifar-10"][0])
    wrong = bytearray(tarred(LAYOUTS["cifar-10"][0]))
    wrong[-20] ^= 1
    server.answers["/cifar-10.tgz"] = body(bytes(wrong), "application/x-tar")

    error = importer.failure(importer.ask(sample="cifar-10")["id"])

    assert error is not None
    assert error.code == "download-differs"
    assert importer.paths() == []


def test_without_internet_it_says_so_and_what_to_do(importer: Importer) -> None:
    error = importer.failure(importer.ask(sample="pets")["id"], Elsewhere(resolve=_no_names))

    assert error is not None
    assert error.message == (
        "Oxford-IIIT Pets couldn't be downloaded: "
        "no server called “s3.amazonaws.com” can be reached on the public internet."
    )
    assert error.advice == (
        "This server may have no connection to the internet. "
        "Download https://s3.amazonaws.com/fast-ai-imageclas/oxford-iiit-pet.tgz on another computer "
        "and drop the file on the page of a new dataset."
    )


def _no_names(_host: str, _port: int) -> list[str]:
    raise OSError("no internet")
