"""What this process counts as it goes; ``system.metrics`` shows it to Prometheus."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

PROCESS: Final = CollectorRegistry()

UPLOAD_BYTES: Final = Counter("tellapart_upload_bytes", "Bytes of uploads taken in.", registry=PROCESS)
PREDICTIONS: Final = Counter("tellapart_predictions", "Pictures to be classified.", ["outcome"], registry=PROCESS)
PREDICTION_SECONDS: Final = Histogram(
    "tellapart_prediction_duration_seconds",
    "Time for the pictures of one request, decoding included.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=PROCESS,
)
