"""A run on pictures of three shapes of which some lie in the wrong folder, examined and trained as a worker would."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from starlette.testclient import TestClient

from backend.datasets.examine.embeddings import Embeddings, unit_rows, write_embeddings
from backend.dependencies import Services
from backend.domain.ids import VersionId
from backend.domain.json import Json
from backend.interpretation.suspects.service import SUSPECTS
from tests.e2e.furnished import Past, Wording
from tests.fixtures.pictures import CLASSES, folder_of_shapes

EACH = 12
MISLABELLED = "shapes/circle/a square.png"


@dataclass(frozen=True)
class Shapes:
    """A dataset with a trained run; ``ids`` of its pictures by their paths."""

    client: TestClient
    services: Services
    past: Past
    dataset_id: str
    version_id: str
    run_id: str
    ids: Mapping[str, str]

    def get(self, path: str, status: int = 200) -> Json:
        answer = self.client.get(f"/api/v1{path}")
        assert answer.status_code == status, answer.text
        return answer.json()

    def suspects(self, query: str = "") -> Json:
        """Once nothing is being computed any more."""
        path = f"/runs/{self.run_id}/suspects?{query}"
        self.get(path)
        SUSPECTS.wait_for_all()
        return self.get(path)

    def paths(self, query: str = "") -> list[str]:
        return [item["path"] for item in self.suspects(query)["items"]]

    def change(self, path: str, label: str | None, **more: Json) -> Json:
        """As the fix sprint does."""
        change = {"image_id": self.ids[path], "label": label, "confirmed": True}
        body = {"changes": [change], "reason": "fix: suspects", "run_id": self.run_id} | more
        answer = self.client.patch(f"/api/v1/datasets/{self.dataset_id}/labels", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def sides(self, version_id: str) -> dict[str, set[str]]:
        """Ids of the pictures on each side of a version."""
        path = f"/datasets/{self.dataset_id}/images?version={version_id}&limit=1000"
        found: dict[str, set[str]] = {}
        for image in self.get(path)["items"]:
            found.setdefault(image["split"], set()).add(image["id"])
        return found


def trained_shapes(client: TestClient, services: Services, *, is_examined: bool = True) -> Shapes:
    """Twelve of each shape; one square has the label circle."""
    dataset_id = client.post("/api/v1/datasets", json={"name": "Shapes"}).json()["id"]
    files = folder_of_shapes(EACH, size=24)
    shape_of = {path: path.split("/")[1] for path in files}
    files[MISLABELLED] = files.pop("shapes/square/0.png")
    shape_of[MISLABELLED] = "square"
    parts = [("files", (path, content)) for path, content in files.items()]
    assert client.post(f"/api/v1/datasets/{dataset_id}/images", files=parts).status_code == 200
    body = {"rule": {"kind": "folder", "level": 1}, "split": {"kind": "random", "valid": 0.25, "seed": 1}}
    version = client.post(f"/api/v1/datasets/{dataset_id}/versions", json=body).json()
    images = client.get(f"/api/v1/datasets/{dataset_id}/images?limit=100").json()["items"]
    ids = {image["path"]: image["id"] for image in images}
    if is_examined:
        examine(services, dataset_id, {ids[path]: shape for path, shape in shape_of.items() if path in ids})
    past = Past(services, VersionId(version["id"]), Wording(classes=CLASSES))
    run_id = past.order("first")
    past.succeed()
    return Shapes(client, services, past, dataset_id, version["id"], run_id, ids)


def examine(services: Services, dataset_id: str, shapes: Mapping[str, str]) -> None:
    """Features of which those of one shape are alike."""
    noise = np.random.default_rng(0).normal(0, 0.1, (len(shapes), 8))
    noise[:, :3] += np.eye(3)[[CLASSES.index(shape) for shape in shapes.values()]]
    values = unit_rows(noise.astype(np.float32))
    write_embeddings(services.settings.features_folder, dataset_id, Embeddings(tuple(shapes), values))
