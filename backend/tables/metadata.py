"""Every table of the product, imported once so that migrations and tests see them all."""

from backend.db.base import Base
from backend.tables import accounts, datasets, examination, interpretation, labels, ledger, training

__all__ = ["accounts", "datasets", "examination", "interpretation", "labels", "ledger", "metadata", "training"]

metadata = Base.metadata
