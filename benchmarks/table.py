"""Draw a file of results into ``docs/speed.md``: ``python -m benchmarks.table OUT``."""

import sys
from pathlib import Path
from typing import Final

from backend.domain.json import Json
from benchmarks import measuring
from benchmarks.parts import FASTAI, FASTAI_BEST, OURS, OURS_AGAIN, PARTS

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs/speed.md"
BEGIN: Final = "<!-- figures: begin (drawn by python -m benchmarks.table) -->"
END: Final = "<!-- figures: end -->"

_TITLES: Final = {
    "frozen": "**Frozen stage**, 4 epochs, EfficientNet-Lite0",
    "lesson": "**Whole lesson**, 4 frozen epochs and 2 of all layers, EfficientNet-Lite0",
    "resnet34": "**Frozen stage**, 4 epochs, ResNet-34",
}
_NAMES: Final = {
    OURS: "ours",
    OURS_AGAIN: "ours, the same again (features kept on disk)",
    FASTAI: "fastai as it comes",
    FASTAI_BEST: "fastai at its best (batch norm of the frozen body in evaluation mode)",
}
_HEADER: Final = (
    "| | wall time | times ours | images a second | peak memory | error | after the last epoch |",
    "|---|---|---|---|---|---|---|",
)

Results = dict[str, Json]


def draw(results: Results) -> str:
    """The Markdown between the marks: one table, and how it was measured."""
    rows = [row for name in PARTS if name in results for row in _rows(name, results[name])]
    return "\n".join([*_HEADER, *rows, "", _how(results)])


def put(document: str, figures: str) -> str:
    """The document with the figures between its marks.

    Raises:
        ValueError: the marks aren't there.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT.name} needs the lines {BEGIN!r} and {END!r}; the table is drawn between them.")
    return f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}"


def _rows(name: str, part: Results) -> list[str]:
    known = [contender for contender in _NAMES if f"seconds_{contender}" in part]
    note = "; drawn weights, so that only the speed counts" if part["weights"] == "random" else ""
    return [f"| {_TITLES[name]}{note} | | | | | | |", *(_row(part, contender) for contender in known)]


def _row(part: Results, contender: str) -> str:
    seconds = part[f"seconds_{contender}"]
    total = part.get(f"seconds_total_{contender}")
    cells = [
        _NAMES[contender],
        f"{seconds:.1f} s" + (f" ({total:.1f} s with checkpoint and export)" if total else ""),
        f"{seconds / part['seconds_ours']:.1f}" if part.get("seconds_ours") else "",
        f"{part[f'images_per_s_{contender}']:.1f}",
        f"{part[f'memory_{contender}'] / 1e9:.2f} GB",
        _error(part, contender),
        f"{part[f'error_last_{contender}']:.1%}" if f"error_last_{contender}" in part else "",
    ]
    return f"| {' | '.join(cells)} |"


def _error(part: Results, contender: str) -> str:
    if f"error_{contender}" not in part:
        return ""
    spread = part[f"error_standard_error_{contender}"]
    return f"{part[f'error_{contender}']:.1%}" + ("" if spread is None else f" (± {100 * spread:.1f})")


def _how(results: Results) -> str:
    machine, settings = results["machine"], results["settings"]
    versions = machine["versions"]
    named = ", ".join(
        f"{package} {versions[package]}"
        for package in ("torch", "fastai", "openvino", "onnxruntime")
        if package in versions
    )
    runs = [run for name in PARTS if name in results for run in results[name]["runs"]]
    seeds = sorted({run["seed"] for run in runs})
    first = runs[0]
    return "\n".join(
        [
            f"Measured on {machine['processor']}, {machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB, "
            f"Python {versions['python']}, {named}.",
            f"`{settings['data']}`: {settings['images']} images of {settings['classes']} classes, "
            f"{first['train_images']} to learn from and {first['valid_images']} held out; "
            f"seeds {', '.join(map(str, seeds))} (of the split as well), "
            "the sides in turn, each run a process of its own.",
            "Wall time is the median from images and weights on the disk to the validated result, without the imports; "
            "the first of ours begins with nothing kept from before.",
            "Images a second are training images times epochs, through that time. "
            "Peak memory is the process's, with the largest of its children.",
            "Error is the mean over the seeds, with its standard error, of the model that is kept: "
            "the better of the two stages where there are two, on both sides.",
            f"fastai loads in {_processes(settings['fastai_workers'])}; "
            f"load average {machine['load_before']} before and {machine['load_after']} after.",
        ]
    )


def _processes(workers: int) -> str:
    return f"{workers} processes" if workers else "its own process"


def main(file: Path) -> None:
    """Draw the file's results into the document."""
    figures = draw(measuring.read(file))
    DOCUMENT.write_text(put(DOCUMENT.read_text("utf-8"), figures), "utf-8")
    print(figures)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Give the file of results: python -m benchmarks.table OUT")
    main(Path(sys.argv[1]))
