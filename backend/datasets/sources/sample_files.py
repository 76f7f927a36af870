"""The files of a sample: drawn by a package, or picked from its archive."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice

from backend.datasets.archives.reading import Archive
from backend.datasets.ingest import IncomingFile
from backend.datasets.samples import Sample


class DrawnFiles:
    """A sample's pictures that are drawn and not unpacked."""

    name_encoding = None

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self.entries = sample.images

    def files(self, skip: int) -> Iterator[IncomingFile]:
        """The pictures after the first ``skip``."""
        if self._sample.drawn is not None:
            yield from islice(self._sample.drawn(), skip, None)


class PickedFiles:
    """A sample's pictures in its archive, under readable names, and a table where its labels are in lists."""

    name_encoding = None

    def __init__(self, sample: Sample, archive: Archive) -> None:
        self._sample, self._archive = sample, archive
        self.entries = sample.images + bool(sample.lists)

    def files(self, skip: int) -> Iterator[IncomingFile]:
        """The files after the first ``skip``."""
        yield from islice(self._picked(), skip, None)

    def _picked(self) -> Iterator[IncomingFile]:
        keep = re.compile(self._sample.keep)
        lists: dict[str, bytes] = {}
        for file in self._archive.files(0):
            name = file.path.removeprefix("./")
            if (side := self._sample.lists.get(name.rpartition("/")[2])) is not None:
                lists[side] = file.content
            elif keep.search(name):
                yield IncomingFile(self._readable(name), file.content, file.refused)
        if lists:
            yield IncomingFile("labels.csv", _table(lists))

    def _readable(self, name: str) -> str:
        return "/".join(self._sample.words.get(part, part) for part in name.split("/"))


def _table(lists: dict[str, bytes]) -> bytes:
    """One table of lists whose lines are a picture's name and its label; each list is one side of the split."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(("name", "label", "split"))
    for side, content in sorted(lists.items()):
        for line in content.decode("utf-8", "replace").splitlines():
            name, _, label = line.strip().rpartition(" ")
            if name:
                rows.writerow((name.strip(), label, side))
    return written.getvalue().encode()
