"""Who may connect to other machines: ``backend/outbound`` for every address that a person names, and few others."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[2]
CONNECTING: Final = {
    "aiohttp",
    "boto3",
    "ftplib",
    "http.client",
    "httpcore",
    "httpx",
    "httpx2",
    "requests",
    "smtplib",
    "socket",
    "telnetlib",
    "urllib.request",
    "urllib3",
    "websockets",
}
ALLOWED: Final = {
    "backend/outbound/": "the client itself",
    "backend/cli.py": "asks what this machine is called",
    "backend/demo.py": "talks to its own server on this machine",
    "backend/upload_command/": "runs in the shell of the person who names its server",
    "backend/serve.py": "opens the server's own port and asks its own processes how they are",
    "backend/security.py": "asks what this machine is called",
    "worker/hardware.py": "asks what this machine is called",
    # Each file is compared with its hash where one is known, and read as tensors only.
    "worker/engine/network/weights.py": "addresses of installed catalogues or the operator's mirror, never a person's",
}


def connecting_in(source: str) -> set[str]:
    """What of these a module imports."""
    return {name for name in _imported(ast.parse(source)) if name in CONNECTING or name.partition(".")[0] in CONNECTING}


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_s08_nobody_else_connects_to_other_machines() -> None:
    found = {
        str(file.relative_to(ROOT)): connecting_in(file.read_text("utf-8"))
        for folder in ("backend", "worker")
        for file in sorted((ROOT / folder).rglob("*.py"))
    }

    assert {file: names for file, names in found.items() if names and not file.startswith(tuple(ALLOWED))} == {}


def test_s08_the_list_names_nobody_who_does_not_connect() -> None:
    for place in ALLOWED:
        files = (ROOT / place).rglob("*.py") if place.endswith("/") else [ROOT / place]
        assert any(connecting_in(file.read_text("utf-8")) for file in files), place


def test_the_gate_sees_what_it_is_to_see() -> None:
    assert connecting_in("import urllib.request") == {"urllib.request"}
    assert connecting_in("from urllib import request") == {"urllib.request"}
    assert connecting_in("import httpx as h\nfrom requests import get")
    assert connecting_in("from urllib.parse import urlsplit") == set()
