"""Ana and her dataset."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import pytest
from starlette.testclient import TestClient

from backend.datasets.imports import run_import
from backend.dependencies import Services
from backend.domain.errors import AppError
from backend.domain.json import Json
from tests.fixtures.pictures import folder_of_shapes


@dataclass(frozen=True)
class Ana:
    """Ana with a dataset of hers, by REST."""

    client: TestClient
    services: Services
    dataset_id: str

    def another(self) -> "Ana":
        return Ana(self.client, self.services, new_dataset(self.client))

    def bring(self, files: Mapping[str, bytes]) -> Json:
        parts = [("files", (path, content)) for path, content in files.items()]
        answer = self.client.post(f"/api/v1/datasets/{self.dataset_id}/images", files=parts)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def bring_shapes(self, each: int) -> None:
        """circle, cross and square, in folders of these names."""
        assert self.bring(folder_of_shapes(each, size=24))["added"] == 3 * each

    def send_archive(self, content: bytes) -> Json:
        answer = self.client.post(f"/api/v1/datasets/{self.dataset_id}/archive", content=content)
        assert answer.status_code == 202, answer.text
        found: Json = answer.json()
        return found

    def run(self, import_id: str) -> Json:
        """Do what the worker would, and look."""
        run_import(self.services.open_unit(), self.services.storage, import_id, fence=lambda _session: None)
        return self.import_(import_id)

    def run_to_its_end(self, import_id: str) -> Json:
        """The same, where the import may fail."""
        with suppress(AppError):
            self.run(import_id)
        return self.import_(import_id)

    def import_(self, import_id: str) -> Json:
        found: Json = self.client.get(f"/api/v1/imports/{import_id}").json()
        return found

    def dataset(self) -> Json:
        found: Json = self.client.get(f"/api/v1/datasets/{self.dataset_id}").json()
        return found

    def images(self, query: str = "") -> list[Json]:
        answer = self.client.get(f"/api/v1/datasets/{self.dataset_id}/images?{query}")
        assert answer.status_code == 200, answer.text
        found: list[Json] = answer.json()["items"]
        return found

    def preview(self, rule: Json, split: Json | None = None) -> Json:
        body = {"rule": rule} | ({"split": split} if split else {})
        answer = self.client.post(f"/api/v1/datasets/{self.dataset_id}/labels/preview", json=body)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def freeze(self, rule: Json, split: Json | None = None) -> Json:
        body = {"rule": rule} | ({"split": split} if split else {})
        answer = self.client.post(f"/api/v1/datasets/{self.dataset_id}/versions", json=body)
        assert answer.status_code == 201, answer.text
        found: Json = answer.json()
        return found


def new_dataset(client: TestClient) -> str:
    """The id of a new dataset."""
    return str(client.post("/api/v1/datasets", json={"name": "Pets"}).json()["id"])


@pytest.fixture
def ana(client: TestClient, services: Services) -> Ana:
    """Ana, with an empty dataset."""
    return Ana(client, services, new_dataset(client))
