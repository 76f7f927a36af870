"""How long the labels page takes to answer, by the number of pictures.

Each rule is tried through the REST API on a database with that many names, without any file: first after a change of
the dataset (cold: names and table are read), then again with other values (warm: as while somebody types). The times
are medians; a ratio compares them with the same rule as a bare loop over the names in Python.

    python -m benchmarks.label_preview [--names 10000 100000] [--tries 5]
"""

import argparse
import json
import logging
import re
import secrets
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import insert
from starlette.testclient import TestClient

from backend import migrations
from backend.accounts.tokens import ensure_owner_token
from backend.app import create_app
from backend.datasets.repository import DatasetRepository
from backend.dependencies import Services
from backend.domain.ids import new_id
from backend.domain.json import Json
from backend.log import configure
from backend.settings import load
from backend.tables.datasets import ImagePathRow, ImageRow

AIMS_MS: Final = {10_000: 300.0, 100_000: 1_000.0}
_TOKEN: Final = "token-of-the-benchmark-0123456789"
_CLASSES: Final = 37


@dataclass(frozen=True, slots=True)
class Figure:
    """Milliseconds of one rule on a number of names.

    Attributes:
        cold, warm: of our answer, see the module.
        bare: of a loop over the names.
    """

    rule: str
    names: int
    cold: float
    warm: float
    bare: float

    @property
    def is_within_aim(self) -> bool:
        """Whether a change of the rule is answered in time."""
        return self.warm <= AIMS_MS.get(self.names, float("inf"))


def path_of(number: int) -> str:
    """A name as of the Pets data set, in folders of its class."""
    kind = f"breed_{number * 7919 % _CLASSES}"
    return f"images/{kind}/{kind}_{number}.jpg"


def measured(names: int, tries: int) -> Iterator[Figure]:
    """Every rule on so many names."""
    paths = [path_of(number) for number in range(names)]
    with serving() as (client, services):
        dataset_id = named_dataset(services, paths)
        table = "name,label\n" + "\n".join(f"{path},{folder_of(path)}" for path in paths)
        _send(client, dataset_id, "labels.csv", table.encode())
        for rule, variants, bare in _rules(paths, table):
            yield _figure(client, services, dataset_id, rule, variants, bare, names, tries)


@contextmanager
def serving() -> Iterator[tuple[TestClient, Services]]:
    """The application in this process, with a data folder of its own; its owner's program."""
    with TemporaryDirectory(prefix="tellapart-benchmark-") as folder:
        settings = load(_env_file=None, data=Path(folder), token=_TOKEN)
        migrations.upgrade(settings.sql_url)
        app = create_app(settings)
        services: Services = app.state.services
        ensure_owner_token(services.database, settings)
        with TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {_TOKEN}"}) as client:
            yield client, services
        services.database.dispose()


def _rules(paths: list[str], table: str) -> Iterator[tuple[str, list[dict[str, Json]], Callable[[], object]]]:
    """Each rule, as somebody types it: another value every time, so that nothing is answered from memory."""
    pattern = r"/([^/]+)_\d+\.jpg$"
    yield "folder", [{"kind": "folder", "level": level} for level in (1, 2)], lambda: Counter(map(folder_of, paths))
    patterns: list[dict[str, Json]] = [
        {"kind": "pattern", "pattern": rf"/([^/]{{1,{n}}})_\d+\.jpg$"} for n in range(30, 60)
    ]
    yield "pattern", patterns, lambda: Counter(found[1] for path in paths if (found := re.search(pattern, f"/{path}")))
    csv: list[dict[str, Json]] = [{"kind": "csv", "leave_out": [f"class {n}"]} for n in range(60)]
    yield "csv", csv, lambda: _looked_up(paths, table)
    expressions: list[dict[str, Json]] = [
        {"kind": "expression", "expression": f"stem.split('_')[0] + '{n}'"} for n in range(60)
    ]
    yield "expression", expressions, lambda: Counter(folder_of(path).split("_")[0] for path in paths)


def _figure(
    client: TestClient,
    services: Services,
    dataset_id: str,
    rule: str,
    variants: list[dict[str, Json]],
    bare: Callable[[], object],
    names: int,
    tries: int,
) -> Figure:
    _add(services, dataset_id, [f"images/breed_0/breed_0_{new_id()}.jpg"])
    url = f"/api/v1/datasets/{dataset_id}/labels/preview"

    def answer(number: int) -> float:
        body = {"rule": variants[number % len(variants)], "split": {"kind": "random", "valid": 0.2}}
        begun = time.perf_counter()
        response = client.post(url, json=body)
        assert response.status_code == 200, response.text
        return 1000 * (time.perf_counter() - begun)

    cold = answer(0)
    warm = statistics.median(answer(1 + number) for number in range(tries))
    return Figure(rule, names, cold, warm, statistics.median(_timed(bare) for _ in range(tries)))


def _looked_up(paths: list[str], table: str) -> Counter[str | None]:
    label_of = dict(line.split(",") for line in table.splitlines())
    return Counter(map(label_of.get, paths))


def _timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - begun)


def folder_of(path: str) -> str:
    """The last folder of a name: its class."""
    return path.split("/")[-2]


def named_dataset(services: Services, paths: list[str]) -> str:
    """A dataset with these names, of which no file is there."""
    with services.database.write() as session:
        dataset_id = DatasetRepository(session).add("Benchmark").id
    _add(services, dataset_id, paths)
    return dataset_id


def _add(services: Services, dataset_id: str, paths: list[str]) -> None:
    """Add pictures, so that nothing known of the dataset holds any more."""
    ids = [new_id() for _ in paths]
    facts = {"dataset_id": dataset_id, "format": "JPEG", "width": 64, "height": 64, "bytes": 1_000}
    images = [
        facts | {"id": image_id, "digest": secrets.token_hex(32), "path": path}
        for image_id, path in zip(ids, paths, strict=True)
    ]
    names = [
        {"id": new_id(), "dataset_id": dataset_id, "image_id": image_id, "path": path}
        for image_id, path in zip(ids, paths, strict=True)
    ]
    with services.database.write() as session:
        session.execute(insert(ImageRow), images)
        session.execute(insert(ImagePathRow), names)


def _send(client: TestClient, dataset_id: str, path: str, content: bytes) -> None:
    response = client.post(f"/api/v1/datasets/{dataset_id}/images", files=[("files", (path, content))])
    assert response.status_code == 200, response.text
    assert not response.json()["rejected"], response.text


def main() -> None:
    """Measure and print a table; with ``--json`` the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    configure(level=logging.ERROR)
    figures = [figure for names in arguments.names for figure in measured(names, arguments.tries)]
    if arguments.json:
        print(json.dumps([{name: getattr(figure, name) for name in Figure.__slots__} for figure in figures], indent=1))
        return
    print("| names | rule | first | while typing | aim | bare loop | times the bare loop |")
    print("|---|---|---|---|---|---|---|")
    for figure in figures:
        aim = f"{AIMS_MS[figure.names]:.0f} ms" if figure.names in AIMS_MS else ""
        print(
            f"| {figure.names:,} | {figure.rule} | {figure.cold:.0f} ms | {figure.warm:.0f} ms | {aim} | "
            f"{figure.bare:.1f} ms | {figure.warm / figure.bare:.1f} |"
        )


if __name__ == "__main__":
    main()
