"""The OpenAPI document says what is answered: parts by example, the whole by requests that schemathesis makes of it."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from starlette.testclient import TestClient

from backend.settings import Settings
from tests.conftest import OWNER_TOKEN, settings_in

GENTLY = settings(
    max_examples=6,  # of each call, with good and with bad values: half a minute in all
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ENDLESS = {"stream_run", "stream_events"}
load_all_checks()
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
CHECKED: list[Any] = CHECKS.get_by_names(  # Any: functions and classes, of which the call wants functions
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)


@pytest.fixture(name="settings")
def _settings(sqlite_url: str, tmp_path: Path) -> Settings:
    """One kind of database is enough: nothing here depends on it."""
    return settings_in(tmp_path, sqlite_url)


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    """The document (Any: JSON values)."""
    return app.openapi()


def test_errors_have_the_form_that_is_sent(document: dict[str, Any], client: TestClient) -> None:
    sent = client.post("/api/v1/datasets", json={}).json()

    answers = document["paths"]["/api/v1/datasets"]["post"]["responses"]
    invalid = document["components"]["responses"]["Invalid"]["content"]["application/json"]["schema"]
    assert answers["422"] == {"$ref": "#/components/responses/Invalid"}
    assert invalid == {"$ref": "#/components/schemas/Error"}
    form = document["components"]["schemas"]["Error"]["properties"]["error"]
    assert form["required"] == list(sent["error"]) == ["code", "message", "advice", "details"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


@pytest.mark.parametrize(
    ("call", "statuses"),
    [
        ("get /healthz", "200"),
        ("get /api/v1/samples", "200 401 429 503"),
        ("get /api/v1/imports/{import_id}", "200 401 404 422 429 503"),
        ("get /api/v1/runs/{run_id}/evaluation", "200 401 404 409 422 429 503"),
        ("post /api/v1/tokens", "201 400 401 403 404 409 413 422 429 503 507"),
        ("delete /api/v1/tokens/{token_id}", "204 401 403 404 409 413 422 429 503 507"),
    ],
)
def test_each_call_names_the_errors_that_it_can_have(document: dict[str, Any], call: str, statuses: str) -> None:
    method, path = call.split()

    assert sorted(document["paths"][path][method]["responses"]) == statuses.split()


def test_what_may_be_repeated_reports_it(document: dict[str, Any]) -> None:
    key = {"$ref": "#/components/parameters/IdempotencyKey"}
    takes_it = {
        operation["operationId"]
        for calls in document["paths"].values()
        for operation in calls.values()
        if key in operation.get("parameters", [])
    }

    assert {"create_token", "create_dataset", "upload_archive", "create_run", "cancel_run"} <= takes_it
    assert takes_it.isdisjoint({"upload_images", "create_predictions", "list_tokens", "rename_dataset"})


def test_no_call_ignores_a_field_that_it_does_not_know(document: dict[str, Any]) -> None:
    taken_anyway = [
        f"{method} {path}"
        for path, calls in document["paths"].items()
        for method, call in calls.items()
        for schema in _bodies(call, document["components"]["schemas"])
        if schema.get("additionalProperties") is not False
    ]

    assert taken_anyway == []


def _bodies(call: dict[str, Any], schemas: dict[str, Any]) -> list[dict[str, Any]]:
    body = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    kinds = [body, *(part for key in ("anyOf", "oneOf", "allOf") for part in body.get(key, []))]
    return [schemas[kind["$ref"].rpartition("/")[2]] for kind in kinds if "$ref" in kind]


def test_titles_and_names_are_written_by_people(document: dict[str, Any]) -> None:
    text = str(document)

    assert (
        document["paths"]["/api/v1/tokens"]["get"]["summary"] == "Tokens that work, oldest first, without their secrets"
    )
    assert "Successful Response" not in text
    assert "backend__" not in text
    assert "Expires In Days" not in text
    assert {"TokenPage", "Error"} <= set(document["components"]["schemas"])


def test_who_may_call_is_in_it(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert document["paths"]["/api/v1/runs"]["get"]["security"] == [{"token": []}]


def test_every_answer_is_one_that_the_document_names(app: FastAPI) -> None:
    headers = {"Authorization": f"Bearer {OWNER_TOKEN}", "Host": "127.0.0.1:8000"}
    # The first search waits for a process that lists timm's networks, at times longer than a call may take below.
    listed = TestClient(app, headers=headers).get("/api/v1/architectures", params={"search": "resnet"})
    assert listed.status_code == 200
    api = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=headers)
    wrong: list[str] = []
    for found in api.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.definition.raw["operationId"] in ENDLESS:
            continue
        for mode in GenerationMode:

            @GENTLY
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case: Case[Any]) -> None:
                case.call_and_validate(headers=headers, checks=CHECKED)

            try:
                check()
            except Unsatisfiable:  # a call without any parameter can't be sent wrong ones
                continue
            except (FailureGroup, Failure) as failure:
                wrong.append(f"{operation.label}: {failure}")

    assert wrong == []
