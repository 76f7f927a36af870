"""Every table of the product, imported once so that migrations and tests see them all."""

from backend.accounts import tables as accounts
from backend.datasets import tables as datasets
from backend.db.base import Base
from backend.interpretation import tables as interpretation
from backend.ledger import tables as ledger
from backend.training import tables as training

__all__ = ["accounts", "datasets", "interpretation", "ledger", "metadata", "training"]

metadata = Base.metadata
