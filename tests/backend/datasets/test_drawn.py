"""Sounds and movements come into a dataset like pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.backend.datasets.conftest import Ana
from tests.fixtures.sounds import tone, track

SOUNDS = {f"{kind}/{n}.wav": tone(hz + 10 * n, 0.2) for kind, hz in (("low", 200), ("high", 2_000)) for n in range(4)}
TRACKS = {
    f"{kind}/{n}.csv": track([(0, 0, 0), (n, slope, 1), (3, 9, 2)])
    for kind, slope in (("a", 1), ("b", 7))
    for n in range(4)
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is read from files is the same on every database."""
    return sqlite_url


def test_a_folder_of_sounds_is_a_dataset(ana: Ana) -> None:
    answer = ana.bring(
        {**SOUNDS, "long.mp3": tone(440, 12, format="MP3"), "broken.flac": b"fLaC no", "n.m4a": b"\0\0\0\x18ftypM4A "}
    )

    assert answer["added"] == 9
    assert [note["code"] for note in answer["notes"]] == ["sound-cut"]
    assert {file["path"]: file["message"] for file in answer["rejected"]} == {
        "broken.flac": "It is a damaged FLAC file. Copy or download it once more, or save it as WAV.",
        "n.m4a": "It is an M4A sound. Save the sound as WAV, FLAC, MP3 or Ogg.",
    }
    image = ana.images("flag=drawn_sound")[0]
    assert [note["code"] for note in image["notes"]] == ["drawn-sound"]
    assert "window 40 ms, hop 2.2 ms, 80 dB below the loudest moment." in image["notes"][0]["message"]
    original = ana.client.get(image["original_url"])
    assert (original.content, original.headers["content-type"]) == (SOUNDS[image["path"]], "audio/wav")
    assert original.headers["content-disposition"].startswith("attachment")
    shown = Image.open(io.BytesIO(ana.client.get(image["url"]).content))
    assert (shown.format, shown.size) == ("JPEG", (512, 512))


def test_the_page_of_a_sound_says_that_it_is_drawn_and_plays_it(ana: Ana) -> None:
    ana.bring({"a.wav": tone(440)})
    image = ana.images()[0]

    page = ana.client.get(f"/datasets/{ana.dataset_id}/images/{image['id']}").text

    assert "Drawn from a sound of 1 s (16,000 Hz, mono) as a mel spectrogram: the width is 1 s" in page
    assert '<audio class="image-sound" controls preload="none" src="/api/v1/images/' in page
    assert "Notes on some pictures" not in ana.client.get(f"/datasets/{ana.dataset_id}").text


def test_movements_are_pictures_and_tables_of_labels_stay_tables(ana: Ana) -> None:
    labels = "file,label\n" + "\n".join(f"{path},{path[0]}" for path in TRACKS)
    answer = ana.bring({**TRACKS, "labels.csv": labels.encode(), "odd/1.csv": b"x,y,t\n1,2,x\n"})

    assert (answer["added"], answer["tables"]) == (8, 1)
    assert answer["rejected"][0]["code"] == "track-broken"
    assert ana.preview({"kind": "csv"})["labelled"] == 8
    assert ana.preview({"kind": "folder"})["labelled"] == 8
    assert ana.images()[0]["flags"] == ["drawn_track"]


def test_sounds_are_not_mirrored_rotated_or_tilted_unless_asked(ana: Ana) -> None:
    ana.bring(SOUNDS)
    version = ana.freeze({"kind": "folder"})

    plain = ana.client.post("/api/v1/runs?dry_run=true", json={"version_id": version["id"]}).json()
    asked = {"version_id": version["id"], "config": {"augmentation": {"flip": True}}}
    flipped = ana.client.post("/api/v1/runs?dry_run=true", json=asked).json()

    changes = plain["config"]["augmentation"]
    assert (changes["flip"], changes["max_rotate"], changes["max_warp"]) == (False, 0, 0)
    assert "drawn-sounds" in [caution["code"] for caution in plain["warnings"]]
    assert flipped["config"]["augmentation"]["flip"] is True
    assert "These pictures are drawn from sounds." in ana.client.get(f"/versions/{version['id']}").text


def test_the_network_sees_what_the_thumbnail_shows(ana: Ana) -> None:
    ana.bring(SOUNDS)
    version = ana.freeze({"kind": "folder"})
    image = ana.images()[0]
    batch = f"/api/v1/versions/{version['id']}/batch/{image['id']}.png?augmented=false&size=168"

    seen = np.asarray(Image.open(io.BytesIO(ana.client.get(batch).content)).convert("RGB")).astype(int)
    small = Image.open(io.BytesIO(ana.client.get(image["thumbnail_url"]).content)).convert("RGB")

    assert np.abs(seen - np.asarray(small)[12:-12, 12:-12].astype(int)).mean() < 4
