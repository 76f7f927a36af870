import os
from pathlib import Path

import pytest

from backend.datasets.errors import UploadLost
from backend.datasets.sources.errors import FolderUnusable
from backend.datasets.sources.opening import Elsewhere
from backend.datasets.sources.server_folders import ServerFolders
from backend.imaging.errors import Refused
from backend.settings import Settings
from tests.backend.datasets.sources.conftest import Importer
from tests.conftest import settings_in
from tests.fixtures.pictures import draw, encode, folder_of_shapes


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A folder that may be imported from, with shapes in folders; beside it one with a secret."""
    root = tmp_path / "disk" / "pictures"
    for name, content in folder_of_shapes(3, 16).items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    outside = tmp_path / "disk" / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(encode(draw("square", 99)))
    return root


@pytest.fixture
def settings(disk: Path, tmp_path: Path, database_url: str) -> Settings:
    """Of a server whose people may import from that folder."""
    return settings_in(tmp_path, database_url).model_copy(update={"import_roots": str(disk)})


def test_folders_are_found_by_clicking_from_the_root(disk: Path) -> None:
    (disk / "shapes" / ".git").mkdir()
    folders = ServerFolders([disk])

    top, shapes = folders.listing(), folders.listing(f"{disk}/shapes")

    assert [(folder.path, folder.name) for folder in top.folders] == [(str(disk), "pictures")]
    assert [(folder.name, folder.files) for folder in shapes.folders] == [("circle", 3), ("cross", 3), ("square", 3)]
    assert [folder.path for folder in shapes.parents] == [str(disk)]
    assert shapes.here is not None
    assert shapes.here.name == "shapes"


@pytest.mark.parametrize(
    "path",
    [
        "/etc",
        "/",
        "{root}/..",
        "{root}/../outside",
        "{root}/shapes/../../outside",
        "{root}2",
        "shapes",
        "\0",
        "{root}/nosuch",
    ],
)
def test_a_path_that_leaves_the_roots_is_like_one_that_does_not_exist(disk: Path, path: str) -> None:
    folders = ServerFolders([disk])

    for use in (folders.listing, folders.checked, lambda path: list(folders.walk(path))):
        with pytest.raises(FolderUnusable):
            use(path.format(root=disk))


def test_links_that_leave_are_never_followed(disk: Path) -> None:
    outside = disk.parent / "outside"
    (disk / "away").symlink_to(outside)
    (disk / "shapes" / "secret.png").symlink_to(outside / "secret.png")
    (disk / "shapes" / "back").symlink_to(disk)
    os.mkfifo(disk / "shapes" / "pipe.png")
    folders = ServerFolders([disk])

    with pytest.raises(FolderUnusable):
        folders.listing(f"{disk}/away")
    assert [folder.name for folder in folders.listing(str(disk)).folders] == ["shapes"]
    assert not any("back/" in name for name in folders.walk(f"{disk}/shapes"))
    read = {
        name: folders.read(f"{disk}/shapes", name) for name in ("secret.png", "pipe.png", "../../outside/secret.png")
    }
    assert {name: isinstance(found, Refused) and found.code for name, found in read.items()} == {
        "secret.png": "server-file-not-a-file",
        "pipe.png": "server-file-not-a-file",
        "../../outside/secret.png": "server-file-unreadable",
    }


def test_a_folder_that_becomes_a_link_after_it_was_listed_is_not_followed(disk: Path) -> None:
    folders = ServerFolders([disk])
    listed = list(folders.walk(f"{disk}/shapes"))
    (disk / "shapes" / "circle").rename(disk / "gone")
    (disk / "shapes" / "circle").symlink_to(disk.parent / "outside")
    (disk.parent / "outside" / "0.png").write_bytes(b"secret")

    assert "circle/0.png" in listed
    assert isinstance(folders.read(f"{disk}/shapes", "circle/0.png"), Refused)


def test_a_link_inside_of_the_root_may_be_chosen(disk: Path) -> None:
    (disk / "best").symlink_to(disk / "shapes" / "circle")

    assert sorted(ServerFolders([disk]).walk(f"{disk}/best")) == ["0.png", "1.png", "2.png"]


def test_a_folder_is_imported_and_a_second_time_adds_nothing(importer: Importer, disk: Path) -> None:
    (disk / "shapes" / "notes.md").write_text("hello")
    (disk / "shapes" / ".hidden").write_text("x")
    here = Elsewhere(roots=(disk,))

    first = importer.run(importer.ask(server_folder=f"{disk}/shapes")["id"], here)
    second = importer.run(importer.ask(server_folder=f"{disk}/shapes")["id"], here)

    assert (first["added"], first["already_there"], first["ignored"], first["entries_total"]) == (9, 0, 1, 11)
    assert (second["added"], second["already_there"]) == (0, 9)
    assert [(left["path"], left["code"]) for left in first["rejected"]] == [("shapes/notes.md", "image-format-unknown")]
    assert importer.paths()[0] == "shapes/circle/0.png"
    assert (disk / "shapes/circle/0.png").is_file()


def test_the_list_that_was_made_first_is_worked_through_though_the_folder_changes(
    importer: Importer, disk: Path
) -> None:
    here = Elsewhere(roots=(disk,))
    import_id = importer.ask(server_folder=str(disk))["id"]
    transactions = iter(range(100))

    def dying(_session: object) -> None:
        if next(transactions) == 3:  # before the first batch
            raise UploadLost

    with pytest.raises(UploadLost):
        importer.run(import_id, here, fence=dying)
    (disk / "shapes/circle/0.png").unlink()
    (disk / "shapes/circle/new.png").write_bytes(encode(draw("circle", 77)))
    done = importer.run(import_id, here)

    assert (done["added"], [left["code"] for left in done["rejected"]]) == (8, ["server-file-unreadable"])


def test_by_rest_folders_are_listed_and_others_refused(importer: Importer, disk: Path) -> None:
    client = importer.ana.client

    roots = client.get("/api/v1/server-folders").json()
    inner = client.get("/api/v1/server-folders", params={"path": str(disk)}).json()

    assert roots == {"items": [{"path": str(disk), "name": "pictures", "files": 0}], "has_more": False}
    assert [folder["name"] for folder in inner["items"]] == ["shapes"]
    assert client.get("/api/v1/server-folders?path=/etc").status_code == 404
    assert importer.refusal(server_folder="/etc") == (404, "server-folder-not-found")


def test_an_empty_folder_is_said_so(importer: Importer, disk: Path) -> None:
    (disk / "empty").mkdir()

    error = importer.failure(importer.ask(server_folder=f"{disk}/empty")["id"], Elsewhere(roots=(disk,)))

    assert error is not None
    assert error.message == f"There is no file in the folder “{disk}/empty”."
