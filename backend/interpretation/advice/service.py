"""What would help a run's results most: computed beside requests, and remembered."""

from typing import Final

from sqlalchemy.orm import Session

from backend.background import Background, Failed
from backend.datasets.health.service import health
from backend.dependencies import Services
from backend.domain.errors import Unavailable
from backend.interpretation.advice.finding import Advice, Gathered, find_advice
from backend.interpretation.advice.repository import AdviceRepository
from backend.interpretation.repository import RunHead
from backend.interpretation.service import Results
from backend.interpretation.suspects.repository import SuspectRepository
from backend.interpretation.suspects.service import Undecided, found_of

_WAIT_S: Final = 0.8
"""Small sets are answered at once; of larger ones it is said that they are being computed."""
ADVICE: Final = Background[Advice]("advice")


class AdviceFailed(Unavailable):
    """The computation ended with a fault of ours."""

    code = "advice-failed"

    def __init__(self) -> None:
        super().__init__(
            "What would help most couldn't be computed; the reason is in the server's log.",
            advice="Look at the top losses and the confusion matrix instead, and report the fault.",
        )


def advice_of(session: Session, services: Services, head: RunHead, results: Results) -> Advice | None:
    """What would help a run's results most; None while it is being computed.

    Raises:
        SuspectsFailed, AdviceFailed
    """
    suspects = found_of(session, services, head, results.checkpoint_id, wait_s=_WAIT_S)
    if suspects is None:
        return None
    undecided = Undecided(session, services, head.dataset_id).suspects(suspects)
    leaks = [
        image_id
        for finding in health(session, services.storage, head.dataset_id).findings
        if finding.kind == "leak"
        for image_id in finding.targets
    ]
    leaked = frozenset(leaks)
    refuses_unknown = AdviceRepository(session).refuses_unknown(results.checkpoint_id)

    def compute() -> Advice:
        # Here and not in each request that asks whether it is ready: these are as many rows as there are pictures.
        with services.database.read() as own:
            tested = AdviceRepository(own).tested(results.checkpoint_id)
            version = SuspectRepository(own).images(head.version_id)
        gathered = Gathered(
            head, results.checkpoint_id, results.classes, tested, version, undecided, leaked, refuses_unknown
        )
        return find_advice(gathered, services.settings.features_folder)

    decided = str(hash((tuple(suspect.id for suspect in undecided), leaked, refuses_unknown)))
    key = (head.run_id, results.checkpoint_id, str(suspects.examined), decided)
    answer = ADVICE.answer(key, compute, wait_s=_WAIT_S)
    if isinstance(answer, Failed):
        raise AdviceFailed
    return answer
