"""The train form: fields as a browser sends them, the training that they ask for, and back again."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from backend.domain.ids import CheckpointId, RunId, VersionId
from backend.domain.json import Json
from backend.domain.training import StageRequest, TrainingConfig, TrainingRequest, resolve
from backend.training.form.presets import RECOMMENDED, Preset, preset_named
from backend.training.form.problems import NOT_JSON, FormUnusable
from backend.training.form.reading import STAGE_ROWS, checked, given, preset_of, request_of
from backend.training.form.writing import fields_of
from backend.training.start import RunOrder

_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")
_LONGEST_JSON: Final = 20_000
_BESIDE: Final = ("starts_from", "run_id")
"""What a person has chosen beside the settings."""
_Stages = tuple[StageRequest, ...]


@dataclass(frozen=True, slots=True)
class TrainForm:
    """What is filled in; an empty field stands for its preset's value."""

    fields: Mapping[str, str]

    @classmethod
    def of_preset(cls, preset: Preset) -> "TrainForm":
        """As it is when a preset is chosen."""
        return cls({"recipe": preset.name})

    @classmethod
    def of_config(cls, config: Mapping[str, Json], starts_from: str | None = None) -> "TrainForm":
        """Filled in with the settings of a run."""
        return cls(fields_of(config) | ({"starts_from": starts_from} if starts_from else {}))

    @classmethod
    def of_json(cls, text: str) -> "TrainForm":
        """Filled in with settings that were pasted as JSON.

        Raises:
            FormUnusable: no JSON, or none that is known here.
        """
        try:
            content = json.loads(text[:_LONGEST_JSON])
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise FormUnusable({"json": NOT_JSON})
        request = checked(content.get("config", content))
        return cls(_fields_of_request(request))

    @property
    def preset(self) -> Preset:
        """The preset that is chosen; the recommended one where none or an unknown one is."""
        return preset_named(given(self.fields, "recipe")) or RECOMMENDED

    @property
    def starts_from(self) -> CheckpointId | None:
        """The model to begin with; None for the pretrained weights."""
        chosen = given(self.fields, "starts_from")
        return CheckpointId(chosen) if chosen else None

    @property
    def run_id(self) -> RunId | None:
        """The id that the form gave its run; None where it has none of ours."""
        text = self.fields.get("run_id", "")
        return RunId(text) if _RUN_ID.fullmatch(text) else None

    @property
    def has_own_values(self) -> bool:
        """Whether anything is filled in beside the choice of a preset."""
        return any(value.strip() for name, value in self.fields.items() if name not in ("recipe", "csrf_token"))

    def request(self) -> TrainingRequest:
        """The training that it asks for.

        Raises:
            FormUnusable: with a sentence for each field that can't be used.
        """
        return request_of(self.fields)

    def order(self, version_id: str, asked_by: str | None = None) -> RunOrder:
        """The same as an order.

        Raises:
            FormUnusable
        """
        return RunOrder(
            VersionId(version_id),
            self.request(),
            starts_from=self.starts_from,
            run_id=self.run_id,
            asked_by=asked_by,
        )

    def with_values(self, **values: str) -> "TrainForm":
        """The same with these fields filled in, and without what a button asked for."""
        return TrainForm({name: text for name, text in self.fields.items() if name != "do"} | values)

    def without(self, names: Iterable[str]) -> "TrainForm":
        """The form with these fields empty."""
        left_out = set(names)
        return TrainForm({name: text for name, text in self.fields.items() if name not in left_out})

    def beside(self, other: "TrainForm") -> "TrainForm":
        """The settings of this form with what was chosen beside the settings of another."""
        return self.with_values(**{name: other.fields[name] for name in _BESIDE if other.fields.get(name)})

    def with_stage_added(self) -> "TrainForm":
        """The form with one more stage at the end, in which all layers are trained."""
        return self._restaged(lambda stages: (*stages, StageRequest(freeze=False))[:STAGE_ROWS])

    def without_stage(self, row: int) -> "TrainForm":
        """The form without the stage of a row; the last one stays."""
        return self._restaged(lambda stages: (*stages[:row], *stages[row + 1 :]) or stages)

    def _restaged(self, change: Callable[[_Stages], _Stages]) -> "TrainForm":
        request = self.request()
        stages = tuple(StageRequest.model_validate(stage.model_dump()) for stage in resolve(request).stages)
        changed = request.model_copy(update={"stages": change(stages), "minutes": None})
        fields = _fields_of_request(changed, preset_of(self.fields))
        return TrainForm(fields | {"stage_count": str(len(changed.stages or ()))})


def _fields_of_request(request: TrainingRequest, preset: Preset | None = None) -> dict[str, str]:
    """The fields that ask for it; how many devices it may use is no part of its config."""
    config: TrainingConfig = resolve(request)
    fields = fields_of(config.model_dump(mode="json"), preset)
    return fields | ({"devices": str(request.devices)} if isinstance(request.devices, int) else {})
