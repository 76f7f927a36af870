from pathlib import Path

import pytest

from backend.settings import SettingsError, load


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "STORAGE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_it_needs_nothing_to_be_set(tmp_path: Path) -> None:
    settings = load()

    assert settings.data == tmp_path / "data"
    assert settings.sql_url == f"sqlite:///{tmp_path}/data/tellapart.sqlite3"
    assert settings.storage_folder == tmp_path / "data" / "storage"
    assert settings.weights_folder == tmp_path / "data" / "weights"
    assert (settings.host, settings.port, settings.device) == ("127.0.0.1", 8000, "auto")


def test_it_names_a_setting_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLAPART_PROT", "9000")

    with pytest.raises(SettingsError, match="no setting called TELLAPART_PROT"):
        load()


def test_it_also_names_an_unknown_one_in_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TELLAPART_PROT=9000\n")

    with pytest.raises(SettingsError, match="TELLAPART_PROT"):
        load()


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("TELLAPART_PORT", "eighty", "a number up to 65535"),
        ("TELLAPART_PORT", "70000", "a number up to 65535"),
        ("TELLAPART_DEVICE", "gpu", "auto, cpu, or cuda:0"),
        ("TELLAPART_BASE_URL", "tellapart.example", "https://host/tellapart"),
        ("DATABASE_URL", "mysql://host/name", "postgresql://"),
        ("REDIS_URL", "localhost:6379", "redis://"),
        ("STORAGE_URL", "s3://bucket", "file:///folder"),
    ],
)
def test_it_names_a_bad_value_and_the_accepted_form(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, accepted: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as refusal:
        load()

    assert name in str(refusal.value)
    assert accepted in str(refusal.value)
    assert value in str(refusal.value)


def test_it_refuses_a_short_token_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLAPART_TOKEN", "swordfish")

    with pytest.raises(SettingsError) as refusal:
        load()

    assert "TELLAPART_TOKEN" in str(refusal.value)
    assert "swordfish" not in str(refusal.value)


def test_it_never_shows_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLAPART_TOKEN", "a-long-enough-token")

    assert "a-long-enough-token" not in repr(load())


@pytest.mark.parametrize(
    ("base_url", "root_path", "secure"),
    [
        ("https://pictures.example", "", True),
        ("https://pictures.example/", "", True),
        ("https://pictures.example/tellapart/", "/tellapart", True),
        ("http://gpu-box:8000/a/b", "/a/b", False),
    ],
)
def test_it_tells_the_path_under_which_a_proxy_serves_it(
    monkeypatch: pytest.MonkeyPatch, base_url: str, root_path: str, secure: bool
) -> None:
    monkeypatch.setenv("TELLAPART_BASE_URL", base_url)

    settings = load()

    assert (settings.root_path, settings.is_secure) == (root_path, secure)


def test_it_connects_to_postgresql_with_the_installed_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ana:secret@db/tellapart")

    assert load().sql_url == "postgresql+psycopg://ana:secret@db/tellapart"


def test_folders_to_import_from_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()

    settings = load(
        _env_file=None, import_roots=f"{tmp_path}/scans, {tmp_path}", import_networks="10.0.0.0/8,fd12::/16"
    )

    assert settings.import_folders == (tmp_path / "scans", tmp_path)
    assert [str(network) for network in settings.trusted_networks] == ["10.0.0.0/8", "fd12::/16"]
    for name, value in [
        ("import_roots", f"{tmp_path}/nosuch"),
        ("import_roots", "scans"),
        ("import_networks", "10.0.0.1/8"),
        ("import_networks", "0.0.0.0/0"),
    ]:
        with pytest.raises(SettingsError, match=f"TELLAPART_{name.upper()} has a value"):
            load(_env_file=None, **{name: value})


def test_a_secret_that_cannot_be_used_is_not_shown() -> None:
    with pytest.raises(SettingsError) as refused:
        load(_env_file=None, AWS_ENDPOINT_URL="https://user:secret@s3.example.org")

    assert "AWS_ENDPOINT_URL has a value that can't be used. Accepted: http://host:9000" in str(refused.value)
    assert "secret" not in str(refused.value)
