"""Why two runs can't be compared."""

from backend.domain.errors import Conflict, InvalidInput


class RunsOfTwoDatasets(InvalidInput):
    """The runs were trained on different datasets."""

    code = "runs-of-two-datasets"

    def __init__(self, before: str, after: str) -> None:
        super().__init__(
            "These two runs were trained on different datasets, so they answer different questions.",
            advice="Compare two runs of one dataset.",
            details={"dataset_ids": [before, after]},
        )


class NoPicturesInCommon(Conflict):
    """No labelled picture is among the validation pictures of both runs."""

    code = "no-pictures-in-common"

    def __init__(self, left_out: int) -> None:
        super().__init__(
            "These two runs have no validation pictures in common, so they can't be compared fairly."
            if not left_out
            else "None of the validation pictures that these two runs have in common has a label today.",
            advice="Train both settings on the same version, then compare those runs.",
            details={"left_out": left_out},
        )
