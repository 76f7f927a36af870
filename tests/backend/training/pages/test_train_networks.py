"""The train page: any network of timm by its name."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.catalogue import use_lookup
from backend.domain.ids import VersionId
from backend.timm_lookup import TimmLookup
from tests.backend.test_timm_lookup import Answers
from tests.backend.training.scene import Scene


@pytest.fixture(autouse=True)
def lookup(client: TestClient, tmp_path: Path) -> Iterator[None]:
    use_lookup(TimmLookup(tmp_path / "networks", Answers()))
    yield
    use_lookup(None)


@pytest.fixture
def version_id(services: Services) -> VersionId:
    return Scene(services.database).version()


def forecast(client: TestClient, version_id: VersionId, **fields: str) -> str:
    return client.post(f"/versions/{version_id}/train/forecast", data={"recipe": "custom"} | fields).text


def field(page: str, name: str) -> str:
    """The part of the page that holds one field."""
    found = re.search(rf'data-field="{name}".*?</div>', page, re.DOTALL)
    assert found is not None
    return found[0]


def test_a_network_that_is_typed_is_used_instead_of_the_model_in_the_list(
    client: TestClient, version_id: VersionId
) -> None:
    page = forecast(client, version_id, architecture="resnet18", network="vit_small")

    assert "<dd>vit_small.lvd</dd>" in page
    assert 'value="vit_small"' in field(page, "network")
    assert "data-changed" in field(page, "network")


def test_the_licence_of_its_weights_and_the_file_to_copy_are_shown(client: TestClient, version_id: VersionId) -> None:
    page = forecast(client, version_id, network="vit_small.lvd")

    assert "<dt>Licence of its weights</dt><dd>dinov3-license</dd>" in page
    assert "the file <b>vit_small.lvd.safetensors</b>; timm publishes it under that name" in page
    assert "Licence of its weights" not in forecast(client, version_id, architecture="resnet18")


def test_an_unknown_name_is_shown_at_its_field_with_near_ones(client: TestClient, version_id: VersionId) -> None:
    page = forecast(client, version_id, network="vit_smal.lvd")

    assert "There is no architecture called “vit_smal.lvd”. Choose one of: vit_small.lvd." in field(page, "network")


def test_the_settings_of_a_run_fill_the_field_again(client: TestClient, version_id: VersionId) -> None:
    body = {"version_id": version_id, "config": {"architecture": "convnext_tiny", "weights": "fb_in1k"}}
    run_id = client.post("/api/v1/runs", json=body).json()["id"]

    opened = client.get(f"/versions/{version_id}/train?again={run_id}").text
    shown = client.get(f"/runs/{run_id}", headers={"Accept": "text/html"}).text

    assert 'value="convnext_tiny.fb_in1k"' in field(opened, "network")
    assert "convnext_tiny.fb_in1k" in shown


def test_the_page_of_a_run_stays_when_its_network_is_no_longer_known(client: TestClient, version_id: VersionId) -> None:
    body = {"version_id": version_id, "config": {"architecture": "convnext_tiny.fb_in1k"}}
    run_id = client.post("/api/v1/runs", json=body).json()["id"]
    use_lookup(None)

    assert client.get(f"/runs/{run_id}", headers={"Accept": "text/html"}).status_code == 200
    assert client.get("/runs", headers={"Accept": "text/html"}).status_code == 200
