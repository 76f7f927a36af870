"""Links that sign a browser in once."""

from datetime import timedelta

import pytest
from sqlalchemy import text, update
from starlette.testclient import TestClient

from backend.accounts.links import NoOwnerYet, create_link
from backend.db.base import utc_now
from backend.dependencies import Services
from backend.tables.accounts import SignInFailureRow, SignInLinkRow
from tests.backend.accounts.conftest import ORIGIN
from tests.conftest import OWNER_TOKEN


@pytest.fixture
def path(services: Services) -> str:
    """Of a fresh link."""
    return create_link(services.database, services.settings).removeprefix(ORIGIN)


def _stranger(browser: TestClient) -> TestClient:
    return TestClient(browser.app, base_url=ORIGIN, follow_redirects=False, headers={"Accept": "text/html"})


def failures(services: Services) -> int:
    with services.database.read() as session:
        return session.query(SignInFailureRow).count()


def test_a_link_signs_in_once(browser: TestClient, path: str) -> None:
    first, second = browser.get(path), _stranger(browser).get(path)

    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert browser.get("/runs").status_code == 200
    assert second.status_code == 401
    assert "This link has been used or is too old" in second.text
    assert "tellapart link" in second.text


def test_a_browser_that_loaded_the_link_ahead_continues(browser: TestClient, path: str) -> None:
    browser.get(path)

    assert browser.get(f"{path}&next=/runs").headers["location"] == "/runs"


def test_after_an_hour_it_is_too_old(browser: TestClient, services: Services, path: str) -> None:
    with services.database.write() as session:
        session.execute(update(SignInLinkRow).values(expires_at=utc_now() - timedelta(seconds=1)))

    assert browser.get(path).status_code == 401


def test_a_used_link_is_no_guess(browser: TestClient, services: Services, path: str) -> None:
    browser.get(path)

    _stranger(browser).get(path)

    assert failures(services) == 0


def test_no_secret_is_in_the_database(services: Services, path: str) -> None:
    with services.database.read() as session:
        (stored,) = session.execute(text("SELECT sha256 FROM sign_in_links")).scalars()

    assert stored not in path
    assert OWNER_TOKEN not in path


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_cannot_use_a_link_up_or_lock_anybody_out(
    browser: TestClient, services: Services, path: str, site: str
) -> None:
    headers = {"Sec-Fetch-Site": site}
    for number in range(25):
        answer = browser.get(f"/sign-in?token=wrong-{number}", headers=headers)
        assert answer.status_code == 200
    followed = browser.get(path, headers=headers)

    assert failures(services) == 0
    assert 'type="password"' in followed.text
    secret = path.partition("token=")[2]
    assert f'value="{secret}"' in followed.text
    sent = browser.post("/sign-in", data={"key": secret}, headers={"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"})
    assert sent.status_code == 303


def test_without_an_owner_there_is_no_link(services: Services) -> None:
    with services.database.write() as session:
        session.execute(text("DELETE FROM tokens"))

    with pytest.raises(NoOwnerYet):
        create_link(services.database, services.settings)
