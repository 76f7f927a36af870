"""A web server on loopback, and clients that may and may not reach it."""

from collections.abc import Iterator

import pytest

from backend.outbound.client import Client, Limits
from backend.outbound.networks import parse_networks
from tests.fixtures.web_server import WebServer, running_web_server

LIMITS = Limits(bytes=100_000, connect_s=5.0, idle_s=5.0)
LOOPBACK = parse_networks("127.0.0.0/8")


@pytest.fixture
def server() -> Iterator[WebServer]:
    """A web server whose answers the test writes."""
    with running_web_server() as server:
        yield server


@pytest.fixture
def trusting() -> Iterator[Client]:
    """A client for which loopback is a network that people trust."""
    with Client(LOOPBACK) as client:
        yield client
