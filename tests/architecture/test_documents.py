"""What is there is written down: settings in the handbook, calls in the OpenAPI document."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from backend.app import create_app
from backend.settings import PREFIX, Settings, load
from tests.fixtures.routes import addresses

ROOT = Path(__file__).resolve().parents[2]


def variables() -> list[str]:
    """Name of each setting as the environment has it."""
    names = []
    for name, field in Settings.model_fields.items():
        alias: Any = field.validation_alias  # Any: one of pydantic's several kinds of alias
        names.append(str(alias.choices[0]) if alias else PREFIX + name.upper())
    return names


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The OpenAPI document (Any: JSON values)."""
    settings = load(_env_file=None, data=tmp_path_factory.mktemp("data"))
    app = create_app(settings)
    app.state.services.database.dispose()
    return app.openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_setting_is_in_the_handbook() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/operating.md").read_text("utf-8"), re.MULTILINE)

    assert sorted(rows) == sorted(variables())


def test_every_setting_shows_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_call_has_an_id_of_its_own(document: dict[str, Any]) -> None:
    ids = Counter(operation["operationId"] for _, operation in operations(document))

    assert [name for name, number in ids.items() if number > 1] == []
    assert all(re.fullmatch(r"[a-z][a-z0-9_]+", name) for name in ids)


def test_every_call_shows_what_it_does(document: dict[str, Any]) -> None:
    assert [name for name, operation in operations(document) if not operation.get("description")] == []


def test_every_call_of_the_api_is_in_the_document(document: dict[str, Any], tmp_path: Path) -> None:
    app = create_app(load(_env_file=None, data=tmp_path))
    app.state.services.database.dispose()
    calls = {
        f"{address.method} {address.template}"
        for address in addresses(app)
        if address.template.startswith("/api/v1/") and address.template != "/api/v1/openapi.json"
    }

    assert calls - {name for name, _ in operations(document)} == set()


def test_every_call_wants_a_token(document: dict[str, Any]) -> None:
    assert [name for name, operation in operations(document) if "security" not in operation] == []
