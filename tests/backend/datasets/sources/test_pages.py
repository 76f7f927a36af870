"""Pages where pictures are named that are elsewhere, read without scripts."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from backend.datasets.import_card import title_of
from backend.datasets.repository import DatasetRepository
from backend.datasets.schemas import FromUrls
from backend.settings import Settings
from backend.tables.ledger import JobRow
from tests.backend.datasets.conftest import Ana
from tests.backend.datasets.sources.conftest import Importer
from tests.conftest import settings_in
from tests.fixtures.pictures import folder_of_shapes

PAGE = {"Accept": "text/html"}


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A folder that may be imported from."""
    for name, content in folder_of_shapes(2, 16).items():
        file = tmp_path / "disk" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "disk"


@pytest.fixture
def settings(disk: Path, tmp_path: Path, database_url: str) -> Settings:
    """Of a server whose people may import from that folder."""
    return settings_in(tmp_path, database_url).model_copy(update={"import_roots": str(disk)})


def seen(client: TestClient, path: str, status: int = 200) -> str:
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == status, answer.text
    return answer.text


def send(ana: Ana, page: str, status: int = 303, **fields: str) -> str:
    """The page that a form leads to, or that shows what is wrong."""
    answer = ana.client.post(f"/datasets/{ana.dataset_id}/{page}", data=fields, headers=PAGE, follow_redirects=False)
    assert answer.status_code == status, answer.text
    return seen(ana.client, answer.headers["location"]) if status == 303 else answer.text


def sources(ana: Ana) -> list[tuple[str, str]]:
    """Kind and title of the imports that wait, the newest first."""
    with ana.services.database.read() as session:
        rows = [row for row, _ in DatasetRepository(session).imports(ana.dataset_id)]
        return [(str(row.source["kind"]), title_of(row.source)) for row in rows]


def test_the_page_of_pictures_leads_to_each_of_them(ana: Ana) -> None:
    page = seen(ana.client, f"/datasets/{ana.dataset_id}")

    for name in ("from-link", "from-server", "from-bucket"):
        assert f'href="/datasets/{ana.dataset_id}/{name}"' in page
        seen(ana.client, f"/datasets/{ana.dataset_id}/{name}")


def test_pasted_addresses_are_pictures_and_a_single_archive_is_one(ana: Ana) -> None:
    page = send(ana, "from-link", addresses="https://a.example/1.jpg\r\n https://a.example/2.jpg\r\n", label="grizzly")
    send(ana, "from-link", addresses="https://a.example/pets.tar.gz?download=1", label="")

    assert "Queued: starts as soon as a worker is free." in page
    assert sources(ana) == [("download", "Archive from a.example"), ("links", "Links of “grizzly”")]


def test_what_was_typed_is_there_again_beside_what_is_wrong_with_it(ana: Ana) -> None:
    page = send(ana, "from-link", 422, addresses="<b>https://a.example/1.jpg", label="///")

    assert "This label can&#39;t be used" in page
    assert "&lt;b&gt;https://a.example/1.jpg</textarea>" in page


def test_a_folder_of_the_server_is_found_by_clicking_and_added(ana: Ana, disk: Path) -> None:
    top = seen(ana.client, f"/datasets/{ana.dataset_id}/from-server")
    inner = seen(ana.client, f"/datasets/{ana.dataset_id}/from-server?folder={disk}/shapes")
    send(ana, "from-server", folder=f"{disk}/shapes")

    assert f"{disk}</span>" in top
    assert "2 files" in inner
    assert sources(ana) == [("folder", f"Folder {disk}/shapes")]


def test_a_folder_elsewhere_is_neither_shown_nor_added(ana: Ana) -> None:
    assert "There is no such folder" in seen(ana.client, f"/datasets/{ana.dataset_id}/from-server?folder=/etc", 404)
    assert "There is no such folder" in send(ana, "from-server", 422, folder="/etc")
    assert sources(ana) == []


def test_a_bucket_is_asked_for_and_its_secret_never_sent_back(ana: Ana) -> None:
    send(ana, "from-bucket", bucket="scans", prefix="2026/", access_key="k", secret_key="hidden-secret")
    page = send(ana, "from-bucket", 422, bucket="NO", access_key="k", secret_key="hidden-secret")

    assert sources(ana) == [("bucket", "Bucket scans")]
    assert "The bucket&#39;s bucket" not in page
    assert "hidden-secret" not in page


def test_a_secret_is_never_shown_in_an_error(ana: Ana) -> None:
    answer = ana.client.post(
        f"/api/v1/datasets/{ana.dataset_id}/from-urls",
        json={"s3": {"bucket": "scans", "access_key": "k", "secret_key": "hidden-secret" * 50, "nonsense": 1}},
    )

    assert answer.status_code == 422
    assert "hidden-secret" not in answer.text
    assert "hidden-secret" not in repr(FromUrls.model_validate({"s3": {"bucket": "b", "secret_key": "hidden-secret"}}))


def test_a_download_says_how_far_it_is(importer: Importer) -> None:
    ana = importer.ana
    import_id = importer.ask(sample="pets")["id"]
    with ana.services.database.write() as session:
        session.query(JobRow).update({"state": "running"})
        DatasetRepository(session).update_import(
            import_id,
            source={"kind": "sample", "name": "pets", "partial": True},
            bytes_done=412_000_000,
            bytes_total=811_706_944,
            seconds_left=41,
        )

    page = seen(ana.client, f"/datasets/{ana.dataset_id}")

    assert "Downloading: 412 MB of 812 MB, about 50 s left" in page
    assert "Cancel import" in page
    assert importer.ana.import_(import_id)["seconds_left"] == 41


def test_the_shelf_says_size_time_and_licence_before_anything_is_downloaded(client: TestClient) -> None:
    for path in ("/", "/datasets/new"):
        page = seen(client, path)
        assert "Needs internet: 812 MB, about 3 min at 50 Mbit/s." in page
        assert "On this computer already." in page
        assert "Licence: CC BY-SA 4.0." in page
        assert "Published error rate: 40.8 % (2012)." in page
