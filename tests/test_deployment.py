"""What servers run: the compose files, the image, and the commands that they name. No container engine is needed."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.settings import load

ROOT = Path(__file__).parent.parent
Service = dict[str, Any]  # Any: YAML values


class _Compose(yaml.SafeLoader):
    """Knows Compose's own tag for taking a value of the first file away."""


_Compose.add_constructor("!reset", lambda _loader, _node: None)


def _read(name: str) -> Any:  # Any: YAML values
    return yaml.load((ROOT / name).read_text(), _Compose)


@pytest.fixture
def services() -> dict[str, Service]:
    found: dict[str, Service] = _read("docker-compose.yml")["services"]
    return found


def test_there_are_the_four_services(services: dict[str, Service]) -> None:
    assert set(services) == {"web", "worker", "postgres", "redis"}


def test_only_the_web_server_has_a_port_and_only_for_this_machine(services: dict[str, Service]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert published == {"web": ["${WEB_BIND:-127.0.0.1}:${WEB_PORT:-8000}:8000"]}


def test_the_database_and_the_broker_have_no_way_out(services: dict[str, Service]) -> None:
    assert _read("docker-compose.yml")["networks"]["back"] == {"internal": True}
    assert services["postgres"]["networks"] == ["back"]
    assert services["redis"]["networks"] == ["back"]


def test_what_is_compiled_lies_where_only_the_worker_can_write(services: dict[str, Service]) -> None:
    image = (ROOT / "Dockerfile.gpu").read_text()

    assert "TORCHINDUCTOR_CACHE_DIR=/compiled " in image
    assert services["worker"]["volumes"] == ["data:/data", "compiled:/compiled"]
    assert services["web"]["volumes"] == ["data:/data"]


def test_images_of_others_are_named_by_their_exact_version(services: dict[str, Service]) -> None:
    assert services["postgres"]["image"] == "postgres:17.6-alpine"
    assert services["redis"]["image"] == "redis:7.4.5-alpine"


@pytest.mark.parametrize("name", ["web", "worker", "postgres", "redis"])
def test_each_is_looked_after_and_hardened(services: dict[str, Service], name: str) -> None:
    service = services[name]

    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    assert service["init"] is True
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_worker_has_time_to_save_shared_memory_and_a_gpu(services: dict[str, Service]) -> None:
    worker = services["worker"]

    assert worker["stop_grace_period"] == "150s"
    assert worker["shm_size"] == "2gb"
    assert worker["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_the_override_takes_the_gpu_away() -> None:
    override = _read("docker-compose.cpu.yml")["services"]["worker"]

    assert override == {"environment": {"TELLAPART_DEVICE": "cpu"}, "deploy": None}
    assert "deploy: !reset" in (ROOT / "docker-compose.cpu.yml").read_text()


def test_the_broker_keeps_what_it_has_and_needs_a_password(services: dict[str, Service]) -> None:
    command = services["redis"]["command"][-1]

    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert "--requirepass" in command


def test_the_files_contain_no_secret() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text().splitlines()

    for name in ("TELLAPART_TOKEN", "POSTGRES_PASSWORD", "REDIS_PASSWORD"):
        assert f"${{{name}:?" in text
        assert f"{name}=" in example


@pytest.mark.parametrize("name", ["web", "worker"])
def test_the_commands_exist(services: dict[str, Service], name: str) -> None:
    program, *words = services[name]["command"]

    reported = subprocess.run(
        [sys.executable, "-m", "backend.cli", words[0], "--help"], capture_output=True, text=True, check=True
    ).stdout

    assert program == "tellapart"
    assert all(word in reported for word in words)


def test_the_settings_are_ones_that_the_server_knows(
    services: dict[str, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in services["web"]["environment"].items():
        if value is not None:
            monkeypatch.setenv(name, _filled_in(str(value)))

    settings = load()

    assert settings.sql_url == "postgresql+psycopg://tellapart:a-long-enough-secret@postgres:5432/tellapart"
    assert settings.redis_url == "redis://:a-long-enough-secret@redis:6379/0"
    assert settings.data == Path("/data")


def _filled_in(value: str) -> str:
    before, dollar, rest = value.partition("${")
    return before + "a-long-enough-secret" + rest.partition("}")[2] if dollar else value


def test_the_image_runs_as_nobody_in_particular_and_starts_by_exec() -> None:
    lines = (ROOT / "Dockerfile.gpu").read_text().splitlines()
    command = next(line.removeprefix("CMD ") for line in lines if line.startswith("CMD "))

    assert "USER 10001:10001" in lines
    assert json.loads(command) == ["tellapart", "serve", "--no-worker"]


def test_all_that_the_image_copies_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        source
        for line in (ROOT / "Dockerfile.gpu").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in shlex.split(line)[1:-1]
    ]

    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert {source.split("/")[0] for source in copied} <= {line.removeprefix("!") for line in ignored}
