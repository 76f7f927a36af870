"""Draw a file of results into ``docs/speed.md``: ``python -m benchmarks.table OUT``."""

import sys
from collections.abc import Callable
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
    OURS_AGAIN: "ours, a second time (with stored features)",
    FASTAI: "fastai, default settings",
    FASTAI_BEST: "fastai, batch norm of the frozen body in evaluation mode",
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


def put(document: str, figures: str, begin: str = BEGIN, end: str = END) -> str:
    """The document with the figures between its marks.

    Raises:
        ValueError: the document has no such marks.
    """
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{DOCUMENT.name} needs the lines {begin!r} and {end!r}; the table is drawn between them.")
    return f"{before}{begin}\n\n{figures}\n\n{end}{after}"


def redraw(file: Path, draw: Callable[[Results], str], begin: str, end: str, document: Path = DOCUMENT) -> None:
    """Draw a file's results between the marks of the document, and print them."""
    figures = draw(measuring.read(file))
    document.write_text(put(document.read_text("utf-8"), figures, begin, end), "utf-8")
    print(figures)


def _rows(name: str, part: Results) -> list[str]:
    known = [contender for contender in _NAMES if f"seconds_{contender}" in part]
    note = "; random weights, so only the speed can be compared" if part["weights"] == "random" else ""
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
    runs = [run for name in PARTS if name in results for run in results[name]["runs"]]
    seeds = sorted({run["seed"] for run in runs})
    first = runs[0]
    return "\n".join(
        [
            machine_sentence(machine),
            f"`{settings['data']}`: {settings['images']} images of {settings['classes']} classes, "
            f"{first['train_images']} for training and {first['valid_images']} for validation; "
            f"seeds {', '.join(map(str, seeds))}, each with a split of its own. "
            "The sides take turns, and each run is a separate process.",
            "Wall time is the median from images and weights on the disk to the validated result, without the imports; "
            "our first run starts without stored features.",
            "Images a second are training images times epochs, divided by that time. "
            "Peak memory is that of the process and of the largest process that it started.",
            "Error is the mean over the seeds, with its standard error, of the chosen model: "
            "the better of the two stages where there are two, on both sides.",
            f"fastai reads images in {_processes(settings['fastai_workers'])}; "
            f"load average {machine['load_before']} before and {machine['load_after']} after.",
        ]
    )


def machine_sentence(machine: Results) -> str:
    """Processor, memory and versions."""
    versions = machine["versions"]
    named = ", ".join(
        f"{package} {versions[package]}"
        for package in ("torch", "fastai", "openvino", "onnxruntime")
        if package in versions
    )
    return (
        f"Measured on {machine['processor']}, {machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB, "
        f"Python {versions['python']}, {named}."
    )


def _processes(workers: int) -> str:
    return f"{workers} more processes" if workers else "the training process"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Give the file of results: python -m benchmarks.table OUT")
    redraw(Path(sys.argv[1]), draw, BEGIN, END)
