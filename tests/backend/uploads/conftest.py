"""Ana, who sends files by the tus protocol."""

import base64
from dataclasses import dataclass

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.json import Json
from tests.backend.datasets.conftest import Ana, new_dataset

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = TUS | {"Content-Type": "application/offset+octet-stream"}


def metadata(**values: str) -> str:
    """An ``Upload-Metadata`` header."""
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


@dataclass(frozen=True)
class Sender:
    """A client of the protocol."""

    client: TestClient
    ana: Ana

    def announce(self, length: object, path: str = "pets.zip", **more: str) -> Response:
        given = metadata(dataset=self.ana.dataset_id, path=path, **more)
        return self.client.post(
            "/api/v1/uploads", headers=TUS | {"Upload-Length": str(length), "Upload-Metadata": given}
        )

    def begin(self, length: int, path: str = "pets.zip", **more: str) -> str:
        """The address of a new upload."""
        answer = self.announce(length, path, **more)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["location"])

    def send(self, address: str, offset: object, content: bytes, **headers: str) -> Response:
        return self.client.patch(address, content=content, headers=BYTES | {"Upload-Offset": str(offset)} | headers)

    def offset(self, address: str) -> int:
        answer = self.client.head(address, headers=TUS)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["upload-offset"])

    def look(self, address: str) -> Json:
        found: Json = self.client.get(address).json()
        return found


@pytest.fixture
def ana(client: TestClient, services: Services) -> Ana:
    """Ana, with an empty dataset."""
    return Ana(client, services, new_dataset(client))


@pytest.fixture
def sender(client: TestClient, ana: Ana) -> Sender:
    """Ana's program."""
    return Sender(client, ana)
