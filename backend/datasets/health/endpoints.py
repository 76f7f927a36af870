"""The health check by REST."""

from fastapi import APIRouter

from backend.caller import CallerDep
from backend.datasets.health.acting import act
from backend.datasets.health.schemas import ActedRead, ActionRequest, HealthRead
from backend.datasets.health.service import health
from backend.datasets.labels.repository import author_name
from backend.dependencies import ReadDep, ServicesDep, StorageDep

router = APIRouter(prefix="/api/v1", tags=["datasets"])


@router.get("/datasets/{dataset_id}/health")
def get_health(dataset_id: str, session: ReadDep, storage: StorageDep) -> HealthRead:
    """What is wrong with a dataset's pictures, labels and split, the worst first, and what was found clean.

    It answers at once with what is known; ask again while `status` is `running`.
    """
    return HealthRead.of(health(session, storage, dataset_id))


@router.post("/datasets/{dataset_id}/health/actions")
def act_on_finding(dataset_id: str, body: ActionRequest, services: ServicesDep, caller: CallerDep) -> ActedRead:
    """Do what a finding offers.

    Leaving out, keeping one of each and relabelling are entries of the ledger of labels, where they are undone; moving
    copies to training and keeping groups together make a new version.
    """
    acted = act(
        services.database,
        services.storage,
        dataset_id,
        body.finding,
        body.action,
        author_name(services.database, caller.token_id),
        image_ids=body.image_ids,
        label=body.label,
    )
    return ActedRead.of(acted)
