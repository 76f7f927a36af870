"""The OpenAPI document, arranged to be read."""

from pathlib import Path

import pytest
from fastapi import FastAPI

from backend.settings import Settings
from backend.system.reference import Call, Parameter, reference
from tests.conftest import settings_in


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    """One kind of database is enough: nothing here depends on it."""
    return settings_in(tmp_path, sqlite_url)


@pytest.fixture
def calls(app: FastAPI) -> dict[str, Call]:
    groups = reference(app.openapi(), "http://box:8000/")
    return {call.id: call for group in groups for call in group.calls}


def test_every_call_is_in_a_group(app: FastAPI, calls: dict[str, Call]) -> None:
    ids = {call["operationId"] for calls in app.openapi()["paths"].values() for call in calls.values()}

    assert set(calls) == ids


def test_a_command_can_be_run_as_it_is(calls: dict[str, Call]) -> None:
    assert calls["list_tokens"].curl == 'curl -H "Authorization: Bearer $TOKEN" http://box:8000/api/v1/tokens'
    assert calls["healthz"].curl == "curl http://box:8000/healthz"
    assert calls["create_dataset"].curl == (
        'curl -X POST -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" '
        """-d '{"name": "…"}' http://box:8000/api/v1/datasets"""
    )
    assert "-F files=@picture.jpg" in calls["upload_images"].curl
    assert "--data-binary @pictures.zip" in calls["upload_archive"].curl


def test_a_body_shows_what_may_be_in_it(calls: dict[str, Call]) -> None:
    assert calls["create_token"].body == '{\n  "name": "…",\n  "expires_in_days": 1,\n  "scope": "write"\n}'


def test_a_parameter_shows_what_it_takes(calls: dict[str, Call]) -> None:
    limit = next(one for one in calls["list_tokens"].parameters if one.name == "limit")

    assert limit == Parameter(
        "limit", "after ?", "integer 1 to 1000 (100)", is_required=False, description="Items on a page."
    )


def test_answers_come_with_their_form(calls: dict[str, Call]) -> None:
    answers = {answer.status: answer for answer in calls["get_import"].answers}

    assert list(answers) == ["200", "401", "404", "422", "429", "503"]
    assert '"already_there": 1' in answers["200"].example
    assert answers["404"].description == "There is no such thing."
