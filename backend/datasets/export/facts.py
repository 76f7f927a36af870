"""``tellapart.json``: what a version is, beside its pictures; brought in again, it gives the same labels and split."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from backend.datasets.export.layout import Placed
from backend.datasets.samples import Sample
from backend.domain.json import Json
from backend.domain.labels.json_tables import TELLAPART_FORMAT
from backend.tables.datasets import DatasetRow, VersionRow
from backend.version import version as program_version

NAME: Final = "tellapart.json"
_FORMAT_VERSION: Final = 1


def facts(
    dataset: DatasetRow,
    version: VersionRow,
    folders: Mapping[str, str],
    changed: Iterable[tuple[str, str | None]],
    sample: Sample | None,
) -> dict[str, Json]:
    """All but the pictures; ``changed`` are (path, label) of those that were labelled by hand."""
    return {
        "format": TELLAPART_FORMAT,
        "format_version": _FORMAT_VERSION,
        "made_by": f"Tellapart {program_version()}",
        "dataset": {"id": dataset.id, "name": dataset.name},
        "version": {"id": version.id, "number": version.number, "created_at": version.created_at.isoformat()},
        "classes": version.classes,
        "folders": dict(folders),
        "counts": version.counts,
        "rule": version.rule,
        "split": version.split,
        "changed_by_hand": [*version.overrides, *({"path": path, "label": label} for path, label in changed)],
        "sample": _of_sample(sample) if sample else None,
    }


def _of_sample(sample: Sample) -> Json:
    published = [asdict(one) for one in sample.references]
    return {
        "name": sample.name,
        "title": sample.title,
        "licence": sample.licence,
        "citation": sample.citation,
        "published": published,
    }


def lines(known: Mapping[str, Json], pictures: Sequence[Placed]) -> Iterator[bytes]:
    """The file piece by piece, a line for each picture."""
    head = json.dumps(known, ensure_ascii=False, indent=1)
    yield f'{head.removesuffix("}").rstrip()},\n "images": [\n'.encode()
    for number, placed in enumerate(pictures, start=1):
        picture = placed.picture
        row = {
            "file": placed.file,
            "sha256": picture.digest,
            "label": picture.label,
            "split": picture.split,
            "path": picture.path,
        }
        yield f"  {json.dumps(row, ensure_ascii=False)}{',' if number < len(pictures) else ''}\n".encode()
    yield b" ]\n}\n"
