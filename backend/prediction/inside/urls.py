"""Addresses of the pictures of filters and patches, below the application's root."""

from backend.datasets.urls import API
from backend.domain.inside import When, filters_file, unit_file
from backend.prediction.inside.service import Standing


def filters_url(standing: Standing, when: When) -> str:
    """The picture of the first layer's filters."""
    return _url(standing, filters_file(when))


def unit_url(standing: Standing, block: int, unit: int, when: When) -> str:
    """The picture of a unit's patches; ``block`` counts from 1."""
    return _url(standing, unit_file(block, unit, when))


def _url(standing: Standing, name: str) -> str:
    base = f"{API}/runs/{standing.run_id}/inside/pictures/{standing.key}/{name}"
    return f"{base}?checkpoint={standing.checkpoint_id}"
