"""A measured training of the suite, as it is in the file of results."""

from pydantic import BaseModel, ConfigDict


class Epoch(BaseModel):
    """A validated epoch: wall-clock and processor seconds since the start, and the result."""

    model_config = ConfigDict(frozen=True)

    stage: int
    seconds: float
    processor_seconds: float
    error_rate: float
    loss: float


class SuiteRun(BaseModel):
    """One measured training.

    Attributes:
        side: name of the ``Side``.
        settings: of ``Side.settings``.
        seconds, processor_seconds: from images and weights on the disk to the validated result.
        seconds_total: the same with checkpoint and export, where there are any.
        error_rate: share of the validation images that the chosen model gets wrong.
        test_error_rate: the same of the test images, which choose nothing.
        peak_memory: bytes.
        load_before, load_after: processes running or waiting for a processor, averaged over the last minute.
        at: when it ended, ISO 8601.
        commit: of our code.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    set: str
    seed: int
    side: str
    settings: str
    seconds: float
    processor_seconds: float
    seconds_total: float | None = None
    error_rate: float
    test_error_rate: float
    epochs: tuple[Epoch, ...]
    peak_memory: int
    train_images: int
    valid_images: int
    test_images: int
    load_before: float
    load_after: float
    at: str = ""
    commit: str = ""

    @property
    def first_result(self) -> Epoch:
        """The end of the first stage: of ours the frozen one, of fastai's its frozen epochs."""
        return [epoch for epoch in self.epochs if epoch.stage == 0][-1]

    def until(self, error_rate: float) -> Epoch | None:
        """The first epoch whose validation error is at most this one; None if there is none."""
        return next((epoch for epoch in self.epochs if epoch.error_rate <= error_rate), None)
