"""How long labels take that come as one CSV: ``python -m benchmarks.labels_csv [--names 200000] [--rounds 3]``.

A table with the name and label of every picture is sent through the REST API to a dataset with that many names, without
any file; then the dataset's own ``labels.csv`` is downloaded and sent back with every label changed. Each is measured
in turn with a bare loop that reads the same table and writes as many rows into an empty SQLite file.
"""

import argparse
import csv
import io
import logging
import sqlite3
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from backend.log import configure
from benchmarks.label_preview import folder_of, named_dataset, path_of, serving

AIM_SECONDS: Final = 60.0


def measured(names: int) -> dict[str, tuple[float, float]]:
    """Seconds of each step: ours, and the bare loop's."""
    paths = [path_of(number) for number in range(names)]
    table = "name,label\n" + "\n".join(f"{path},{folder_of(path)}" for path in paths)
    with serving() as (client, services):
        address = f"/api/v1/datasets/{named_dataset(services, paths)}/labels.csv"

        def send(content: str) -> None:
            response = client.post(address, content=content.encode(), headers={"Content-Type": "text/csv"})
            assert response.status_code == 200, response.text

        found = {"a table of names and labels": (_seconds(lambda: send(table)), _seconds(lambda: _bare(table)))}
        begun = time.perf_counter()
        ours = client.get(address).text
        found["downloaded"] = (time.perf_counter() - begun, found["a table of names and labels"][1])
        changed = ours.replace(",breed_", ",kind_")
        found["sent back, all changed"] = (_seconds(lambda: send(changed)), _seconds(lambda: _bare(changed)))
    return found


def _bare(table: str) -> None:
    with TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "bare.sqlite3")
        connection.execute("CREATE TABLE labels (path TEXT, label TEXT)")
        rows = (row[:2] for row in csv.reader(io.StringIO(table)))
        connection.executemany("INSERT INTO labels VALUES (?, ?)", rows)
        connection.commit()
        connection.close()


def _seconds(act: Callable[[], None]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _lines(rounds: list[Mapping[str, tuple[float, float]]]) -> list[str]:
    lines = ["| step | seconds | bare loop | ratio |", "|---|---|---|---|"]
    for step in rounds[0]:
        ours, bare = (statistics.median(found[step][place] for found in rounds) for place in (0, 1))
        lines.append(f"| {step} | {ours:.1f} | {bare:.1f} | {ours / bare:.1f} |")
    return lines


def main() -> None:
    """Measure, and print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    configure(level=logging.ERROR)
    print("\n".join(_lines([measured(arguments.names) for _ in range(arguments.rounds)])))
    print(f"{arguments.names:,} labels; aim {AIM_SECONDS:.0f} s for a table.")


if __name__ == "__main__":
    main()
