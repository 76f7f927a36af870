"""A server that has just started tests its machine first, on all processors; benchmarks wait until that has ended."""

import time
from collections.abc import Callable
from typing import Any, Final

import httpx

from tests.fixtures.pictures import folder_of_shapes

_EVERY: Final = 0.1
_LONGEST: Final = 600.0


def until(condition: Callable[[], Any]) -> None:  # Any: true or false
    """Ask every 100 ms until it is so. Raises TimeoutError after ten minutes."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > _LONGEST:
            raise TimeoutError("It took more than ten minutes.")
        time.sleep(_EVERY)


def until_tested(client: httpx.Client, version_id: str) -> None:
    """Wait until trainings of a version are forecast, for which the machine must have been tested."""

    def is_tested() -> bool:
        plan = client.post("/api/v1/runs", params={"dry_run": True}, json={"version_id": version_id}).raise_for_status()
        return plan.json()["forecast"]["seconds_high"] is not None

    until(is_tested)


def settle(client: httpx.Client) -> None:
    """The same with nothing there yet: a few drawn pictures are brought for it, in a dataset of their own."""
    dataset_id = client.post("/api/v1/datasets", json={"name": "settling"}).raise_for_status().json()["id"]
    files = [("files", (path, content)) for path, content in folder_of_shapes(4, 24).items()]
    client.post(f"/api/v1/datasets/{dataset_id}/images", files=files).raise_for_status()
    body = {"rule": {"kind": "folder", "level": 1}, "split": {"kind": "random", "valid": 0.2, "seed": 1}}
    made = client.post(f"/api/v1/datasets/{dataset_id}/versions", json=body).raise_for_status()
    until_tested(client, made.json()["id"])
