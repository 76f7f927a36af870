"""What a person changed from one run to another: version, starting point, settings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from backend.domain.json import Json
from backend.training.run_page.settings import settings_in_words


class Ordered(Protocol):
    """What is read of a run."""

    @property
    def version_number(self) -> int:
        """Number of the version that it learns from."""

    @property
    def starts_from(self) -> str | None:
        """The checkpoint that it starts from; None for pretrained weights."""

    @property
    def config(self) -> Mapping[str, Json]:
        """All of its settings."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that differs, in words."""

    name: str
    before: str
    after: str

    @property
    def words(self) -> str:
        """``Batch size: 32 → 16``."""
        return f"{self.name}: {self.before} → {self.after}"


def differences(before: Ordered, after: Ordered) -> Iterator[Difference]:
    """Everything that differs, what matters most first."""
    if before.version_number != after.version_number:
        yield Difference("Version", str(before.version_number), str(after.version_number))
    if before.starts_from != after.starts_from:
        was, now = ("an earlier model" if run.starts_from else "pretrained weights" for run in (before, after))
        yield Difference("Starts from", was, now if was != now else "another earlier model")
    earlier, later = _settings(before.config), _settings(after.config)
    for name in dict.fromkeys([*later, *earlier]):
        old, new = earlier.get(name, "none"), later.get(name, "none")
        if old != new:
            yield Difference(name, old, new)


def _settings(config: Mapping[str, Json]) -> dict[str, str]:
    sections = settings_in_words(config, [None] * len(config["stages"]))
    return {
        f"{section.title}, {label}" if section.title.startswith("Stage") else label: value
        for section in sections
        for label, value in section.rows
    }
