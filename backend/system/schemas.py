"""Bodies about the server."""

from pydantic import BaseModel

from backend.ledger.job import JobKind


class Alive(BaseModel):
    """The process answers; nothing else is said."""

    status: str = "ok"


class Device(BaseModel):
    """What a worker that is alive computes on."""

    device: str
    name: str
    host: str


class Worker(BaseModel):
    """A worker and when it last reported."""

    id: str
    host: str
    kinds: list[str]
    device: str | None
    device_name: str | None
    version: str
    seconds_since_heartbeat: float
    alive: bool


class QueueDepth(BaseModel):
    """Jobs of one kind that nobody has taken yet."""

    kind: JobKind
    waiting: int
    oldest_waits_s: float


class Disk(BaseModel):
    """Room for pictures and models."""

    free_bytes: int


class Overview(BaseModel):
    """The server at a glance."""

    version: str
    devices: list[Device]
    workers: list[Worker]
    queue: list[QueueDepth]
    disk: Disk
