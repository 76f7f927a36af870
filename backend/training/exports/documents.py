"""Notebook and model card of a model, from its rows."""

from sqlalchemy.orm import Session

from backend.datasets.export.service import archive_name
from backend.datasets.versions import drawn_kind
from backend.domain.ids import CheckpointId, RunId
from backend.interpretation import service
from backend.interpretation.find import results_of
from backend.training.exports.facts import RunFacts
from backend.training.exports.model_card import model_card
from backend.training.exports.notebook import Library, notebook


def notebook_of(session: Session, facts: RunFacts, library: Library) -> bytes:
    """The notebook that repeats the training up to this model.

    Raises:
        NotebookUnavailable
    """
    data = archive_name(facts.run.dataset_name, facts.version.number)
    return notebook(facts, library, kind=drawn_kind(session, facts.version.id), data=data)


def card_of(session: Session, facts: RunFacts) -> str:
    """The model card.

    Raises:
        NothingTested: the model wasn't tried on any picture.
    """
    results = results_of(session, RunId(facts.run.id), CheckpointId(facts.checkpoint.id))
    return model_card(facts, service.summary(session, results))
