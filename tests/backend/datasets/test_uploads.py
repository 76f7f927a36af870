import io
import struct
import threading
import time
import zlib

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from backend.datasets import ingest as ingesting
from backend.datasets.pictures.flags import FLAGS
from backend.dependencies import Services
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode, folder_of_shapes

PICTURE = encode(draw("circle", 1))
DISPOSITION = b"Content-Disposition: form-data; name="


def bomb(side: int = 50_000) -> bytes:
    """A PNG that says it has side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100_000)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def test_it_keeps_folders_and_the_totals(ana: Ana) -> None:
    answer = ana.bring({"train/3/7463.png": PICTURE, "train/é 7/1.png": encode(draw("square", 2))})

    assert answer == {
        "added": 2,
        "already_there": 0,
        "ignored": 0,
        "tables": 0,
        "rejected": [],
        "notes": [],
        "imports": [],
    }
    assert sorted(image["path"] for image in ana.images()) == ["train/3/7463.png", "train/é 7/1.png"]
    dataset = ana.dataset()
    assert (dataset["images"], dataset["bytes"]) == (2, len(PICTURE) + len(encode(draw("square", 2))))


def test_it_stores_the_same_bytes_once(ana: Ana) -> None:
    first = ana.bring({"b.png": PICTURE, "c.png": PICTURE})
    second = ana.bring({"a.png": PICTURE})

    assert (first["added"], first["already_there"]) == (1, 1)
    assert (second["added"], second["already_there"]) == (0, 1)
    assert [image["path"] for image in ana.images()] == ["a.png"]
    assert ana.dataset()["images"] == 1


def test_a_bad_file_is_listed_and_spoils_nothing(ana: Ana) -> None:
    whole = encode(draw("cross", 1, 200), "JPEG")

    answer = ana.bring(
        {
            "good.png": PICTURE,
            "empty.jpg": b"",
            "cut.jpg": whole[: len(whole) // 2],
            "text.jpg": b"hello, I am no picture",
            "paper.jpg": b"%PDF-1.7 ...",
            "bomb.png": bomb(),
        }
    )

    assert answer["added"] == 1
    assert {left["path"]: (left["code"], left["message"]) for left in answer["rejected"]} == {
        "empty.jpg": ("image-empty", "The file is empty."),
        "cut.jpg": (
            "image-truncated",
            "The file ends too early, so part of the picture is missing. Copy or download it once more.",
        ),
        "text.jpg": ("image-format-unknown", "It is a text, not a picture."),
        "paper.jpg": ("image-format-unknown", "It is a PDF. Save its pages as PNG or JPEG and add those."),
        "bomb.png": (
            "image-too-large",
            next(left["message"] for left in answer["rejected"] if left["path"] == "bomb.png"),
        ),
    }
    assert ana.dataset()["rejected"] == 5
    listed = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/rejections?limit=3").json()
    assert len(listed["items"]) == 3
    assert listed["next"]


def test_the_same_bad_file_twice_is_listed_once(ana: Ana) -> None:
    ana.bring({"empty.jpg": b""})
    ana.bring({"empty.jpg": b""})

    assert ana.dataset()["rejected"] == 1


def test_hidden_and_system_files_are_counted_and_not_kept(ana: Ana) -> None:
    answer = ana.bring({".DS_Store": b"x", "__MACOSX/._1.png": PICTURE, "a/Thumbs.db": b"x", "a/1.png": PICTURE})

    assert (answer["added"], answer["ignored"], answer["rejected"]) == (1, 3, [])
    assert ana.dataset()["rejected"] == 0


def test_tables_are_kept_and_replaced(ana: Ana) -> None:
    ana.bring({"labels.csv": b"name,label\n", "1.png": PICTURE})
    answer = ana.bring({"labels.csv": b"name,label\n1.png,cat\n", "utf16.tsv": "a\tb".encode("utf-16")})

    assert (answer["tables"], answer["rejected"]) == (2, [])


def test_a_file_over_the_limit_is_listed(ana: Ana, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingesting, "MAX_FILE_BYTES", 10)

    assert ana.bring({"1.png": PICTURE})["rejected"][0]["code"] == "image-file-too-large"


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd.png", "/etc/x.png", "C:\\x\\y.png", "\u202egnp.exe", "a'\"<img src=x onerror=alert(1)>.png"],
)
def test_a_name_is_only_data(ana: Ana, name: str) -> None:
    assert ana.bring({name: PICTURE})["added"] == 1
    assert len(ana.images()) == 1


def test_a_name_that_is_too_long_is_refused_and_not_cut(ana: Ana) -> None:
    answer = ana.bring({"x" * 60_000 + ".png": PICTURE, "y/" * 1_000 + "1.png": encode(draw("circle", 2))})

    assert (answer["added"], [left["code"] for left in answer["rejected"]]) == (1, ["path-too-long"])
    assert answer["rejected"][0]["message"] == "Its name with all folders has more than 4,096 characters."
    assert len(answer["rejected"][0]["path"]) == 4096


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (("C:\\data\\cats\\1.png", "C:\\data\\dogs\\1.png"), ["data/cats/1.png", "data/dogs/1.png"]),
        # curl writes each backslash twice.
        (("C:\\\\data\\\\cats\\\\1.png", "D:\\\\dogs\\\\1.png"), ["data/cats/1.png", "dogs/1.png"]),
        (("50%25 off/%20/a.png", "b/1.png"), ["50%25 off/%20/a.png", "b/1.png"]),
        (("../../x/a.png", "x/../y/a.png"), ["x/a.png", "y/a.png"]),
        # Programs write quotation marks as browsers do: %22.
        (('a "good" one/1.png', "b/1.png"), ['a "good" one/1.png', "b/1.png"]),
    ],
)
def test_a_path_keeps_its_folders_whatever_system_it_is_from(ana: Ana, sent: tuple[str, str], kept: list[str]) -> None:
    ana.bring({sent[0]: PICTURE, sent[1]: encode(draw("square", 2))})

    assert sorted(image["path"] for image in ana.images()) == kept


def test_quotation_marks_in_a_name_are_kept(ana: Ana) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a \\"good\\" one/1.png"\r\n\r\n'
        + PICTURE
        + b"\r\n--x--\r\n"
    )
    ana.client.post(
        f"/api/v1/datasets/{ana.dataset_id}/images",
        content=body,
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )

    assert [image["path"] for image in ana.images()] == ['a "good" one/1.png']


def test_what_a_network_drive_keeps_beside_the_pictures_is_left_out(ana: Ana) -> None:
    helpers = {
        "cat/@eaDir/1.png/SYNOPHOTO_THUMB_M.png": encode(draw("square", 2)),
        "cat/.@__thumb/s100x.png": encode(draw("square", 3)),
        "#recycle/old.png": encode(draw("square", 4)),
        "$RECYCLE.BIN/x.png": encode(draw("square", 5)),
    }

    answer = ana.bring({"cat/1.png": PICTURE} | helpers)

    assert (answer["added"], answer["ignored"], answer["rejected"]) == (1, 4, [])


# Tables


def test_a_text_that_is_no_table_is_named_and_spoils_no_rule(ana: Ana) -> None:
    ana.bring_shapes(2)
    table = "name,label\n" + "".join(
        f"shapes/{shape}/{n}.png,{shape}\n" for shape in ("circle", "cross") for n in range(2)
    )

    answer = ana.bring(
        {"labels.csv": table.encode(), "README.txt": b"Taken in May, by Ana.\n", "notes.txt": b"a,b\nc,d\n"}
    )

    assert (answer["tables"], [left["path"] for left in answer["rejected"]]) == (1, ["README.txt", "notes.txt"])
    assert [found["name"] for found in ana.preview({"kind": "csv"})["classes"]] == ["circle", "cross"]


def test_a_table_sent_again_under_the_same_name_replaces_the_first(ana: Ana) -> None:
    ana.bring({"circle/1.png": PICTURE, "square/1.png": encode(draw("square", 1))})
    ana.bring({"labels.csv": b"name,label\ncircle/1.png,old\nsquare/1.png,other\n"})

    answer = ana.bring({"labels.csv": b"name,label\ncircle/1.png,new\nsquare/1.png,other\n"})

    assert (answer["tables"], answer["already_there"]) == (1, 0)
    assert [found["name"] for found in ana.preview({"kind": "csv"})["classes"]] == ["new", "other"]


# The same name, the same bytes


def test_other_bytes_under_the_same_name_are_another_picture(ana: Ana) -> None:
    ana.bring({"cat/1.png": PICTURE})

    answer = ana.bring({"cat/1.png": encode(draw("square", 2))})

    assert (answer["added"], answer["already_there"]) == (1, 0)
    assert [image["path"] for image in ana.images()] == ["cat/1.png", "cat/1.png"]


def test_an_array_of_labels_is_as_long_as_the_pictures_that_are_there(ana: Ana) -> None:
    ana.bring({"a.png": PICTURE, "b.png": PICTURE, "c.png": encode(draw("square", 2))})
    rule = {"kind": "list", "labels": ["cat", "dog"]}

    found = ana.preview(rule)["classes"]

    assert [(one["name"], one["images"]) for one in found] == [("cat", 1), ("dog", 1)]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data; boundary=x", b"garbage"),
        ("multipart/form-data", b"--x\r\n"),
        ("application/json", b"{}"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nabc',
        ),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nabc\r\n--x--\r\n',
        ),
    ],
)
def test_it_refuses_what_is_no_upload(ana: Ana, content_type: str, body: bytes) -> None:
    answer = ana.client.post(
        f"/api/v1/datasets/{ana.dataset_id}/images", content=body, headers={"Content-Type": content_type}
    )

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] in ("upload-malformed", "upload-empty")


def test_it_refuses_uploads_into_nothing(client: TestClient) -> None:
    assert client.post("/api/v1/datasets/nosuch/images", files={"files": ("1.png", PICTURE)}).status_code == 404
    assert client.post("/api/v1/datasets/nosuch/archive", content=b"PK\x03\x04").status_code == 404


def test_two_uploads_at_once_lose_nothing(ana: Ana) -> None:
    shapes = folder_of_shapes(15, size=16)
    backwards = dict(reversed(shapes.items()))
    answers: list[dict[str, object]] = []

    threads = [threading.Thread(target=lambda f=files: answers.append(ana.bring(f))) for files in (shapes, backwards)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(int(str(answer["added"])) for answer in answers) == 45
    assert sum(int(str(answer["already_there"])) for answer in answers) == 45
    assert ana.dataset()["images"] == 45


def test_a_bomb_is_refused_quickly(ana: Ana) -> None:
    ana.bring({"1.png": PICTURE})
    started = time.perf_counter()

    assert ana.bring({"bomb.png": bomb()})["rejected"][0]["code"] == "image-too-large"
    assert time.perf_counter() - started < 2


# Served back


def test_it_serves_the_file_with_the_type_its_bytes_say(ana: Ana) -> None:
    photo = encode(draw("cross", 1), "JPEG") + b"<script>alert(1)</script>"
    ana.bring({"evil.html": photo})
    image = ana.images()[0]

    answer = ana.client.get(image["url"])

    assert answer.content == photo
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("size", [192, 768])
def test_it_serves_thumbnails_and_makes_lost_ones_anew(ana: Ana, services: Services, size: int) -> None:
    ana.bring({"1.png": encode(draw("cross", 1, 1000))})
    address = f"/api/v1/images/{ana.images()[0]['id']}/thumbnail?size={size}"
    first = ana.client.get(address)
    for file in (services.settings.storage_folder / "thumbnails").rglob("*-3"):
        file.unlink()

    again = ana.client.get(address)

    assert first.headers["content-type"] == "image/jpeg"
    assert first.content == again.content
    assert first.content[:3] == b"\xff\xd8\xff"


def test_an_upload_makes_the_copy_for_grids_and_a_larger_one_is_made_when_it_is_looked_at(
    ana: Ana, services: Services
) -> None:
    folder = services.settings.storage_folder / "thumbnails"

    ana.bring({"1.jpg": encode(draw("cross", 1, 1000), "JPEG")})

    assert [file.name.split("-")[1] for file in folder.rglob("*-3")] == ["192"]
    shown = ana.client.get(f"/api/v1/images/{ana.images()[0]['id']}/thumbnail?size=768")
    assert Image.open(io.BytesIO(shown.content)).size == (768, 768)
    assert len(list(folder.rglob("*-3"))) == 2


def test_it_serves_no_other_sizes_and_no_other_images(ana: Ana) -> None:
    ana.bring({"1.png": PICTURE})

    assert ana.client.get(f"/api/v1/images/{ana.images()[0]['id']}/thumbnail?size=5000").status_code == 422
    assert ana.client.get("/api/v1/images/nosuch/thumbnail").status_code == 404
    assert ana.client.get("/api/v1/images/nosuch/file").status_code == 404


# Listed


def test_it_lists_images_page_by_page(ana: Ana) -> None:
    ana.bring_shapes(2)

    first = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/images?limit=4").json()
    second = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/images?limit=4&after={first['next']}").json()

    assert len(first["items"]) == 4
    assert len(second["items"]) == 2
    assert second["next"] is None
    assert ana.images("newest=true&limit=1")[0] == second["items"][1]


def test_it_filters_by_class_split_and_version(ana: Ana) -> None:
    ana.bring_shapes(8)
    version = ana.freeze({"kind": "folder"})

    held_out = ana.images(f"class=circle&split=valid&version={version['id']}")

    assert len(held_out) == version["counts"]["circle"]["valid"]
    assert {(image["label"], image["split"]) for image in held_out} == {("circle", "valid")}
    assert len(ana.images("class=cross")) == 8
    assert ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/images?version=nosuch").status_code == 404


def test_a_version_lists_only_the_pictures_that_are_in_it(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    ana.bring({"later/1.png": encode(draw("circle", 99))})

    assert len(ana.images(f"version={version['id']}")) == 12
    assert len(ana.images()) == 13


def test_it_filters_by_folder(ana: Ana) -> None:
    ana.bring_shapes(2)
    ana.bring({"shapes/circles/1.png": encode(draw("circle", 99)), "100%/1.png": encode(draw("circle", 98))})

    assert [image["path"] for image in ana.images("folder=shapes/circle")] == [
        "shapes/circle/0.png",
        "shapes/circle/1.png",
    ]
    assert len(ana.images("folder=shapes/")) == 7
    assert len(ana.images("folder=100%25")) == 1


def test_it_filters_by_flag(ana: Ana) -> None:
    ana.bring(
        {
            "plain.png": encode(draw("circle", 1)),
            "tiny.png": encode(draw("circle", 2, 48).resize((48, 20))),
            "twice.png": encode(draw("circle", 3)),
            "again.png": encode(draw("circle", 3)),
            "wrong.jpg": encode(draw("circle", 4)),
            "long.PNG": encode(draw("circle", 5).resize((400, 40))),
        }
    )

    found = {flag: [image["path"] for image in ana.images(f"flag={flag}")] for flag in FLAGS}

    assert found == {
        "exact_duplicate": ["again.png"],
        "tiny": ["tiny.png"],
        "huge": [],
        "odd_aspect": ["long.PNG"],
        "wrong_extension": ["wrong.jpg"],
        "frames_left_out": [],
        "drawn_sound": [],
        "drawn_track": [],
        "sound_cut": [],
        "sound_silent": [],
        "track_cut": [],
        "near_duplicate": [],
        "moment": [],
        "blank": [],
        "blurred": [],
        "dark": [],
        "light": [],
        "levels_half_unused": [],
        "levels_nearly_unused": [],
        "pages_left_out": [],
    }
    assert {image["path"]: image["flags"] for image in ana.images()} == {
        "plain.png": [],
        "tiny.png": ["tiny"],
        "again.png": ["exact_duplicate"],
        "wrong.jpg": ["wrong_extension"],
        "long.PNG": ["odd_aspect"],
    }


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("flag=nonsense", 422, "flag-unknown"),
        ("class=nonsense", 422, "class-unknown"),
        ("split=nonsense", 422, "invalid-input"),
        ("after=nonsense", 422, "cursor-unknown"),
        ("version=nonsense", 404, "version-not-found"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(ana: Ana, query: str, status: int, code: str) -> None:
    ana.bring_shapes(4)
    ana.freeze({"kind": "folder"})

    answer = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/images?{query}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_without_a_version_there_are_no_classes_to_ask_for(ana: Ana) -> None:
    ana.bring_shapes(1)

    for query in ("class=circle", "split=valid"):
        answer = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/images?{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "no-version")


def test_a_version_of_another_dataset_is_not_found(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    other = ana.another()

    answer = ana.client.get(f"/api/v1/datasets/{other.dataset_id}/images?version={version['id']}")

    assert answer.status_code == 404
