"""Browsers: with cookies, and with the headers that real ones send."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.conftest import OWNER_TOKEN

ORIGIN = "http://127.0.0.1:8000"


@pytest.fixture
def browser(app: FastAPI) -> Iterator[TestClient]:
    """Ana's browser, not signed in yet."""
    with TestClient(app, base_url=ORIGIN, raise_server_exceptions=False, follow_redirects=False) as browser:
        browser.headers["Accept"] = "text/html"
        yield browser


@pytest.fixture
def signed_in(browser: TestClient) -> TestClient:
    """Ana's browser after she has given her key."""
    answer = browser.post("/sign-in", data={"key": OWNER_TOKEN}, headers={"Origin": ORIGIN})
    assert answer.status_code == 303
    return browser
