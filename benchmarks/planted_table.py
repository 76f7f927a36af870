"""Tables of what was found of planted faults."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from backend.domain.json import Json
from benchmarks.table import machine_sentence

BEGIN: Final = "<!-- figures: planted faults begin (drawn by python -m benchmarks.planted) -->"
END: Final = "<!-- figures: planted faults end -->"
PAGE: Final = Path(__file__).resolve().parents[1] / "docs/findings.md"
TOOLS: Final = ("tellapart", "cleanvision", "imagededup PHash", "imagededup CNN")
Rows = Sequence[dict[str, Json]]


def draw(results: dict[str, Json]) -> str:
    """Copies, poor pictures and shortcuts, as Markdown."""
    rows, shortcuts = results["rows"], results["shortcuts"]
    sets = list(dict.fromkeys(row["set"] for row in rows))
    parts = [_copies(rows, sets), _poor(rows, sets), _shortcuts(shortcuts, sets), _seconds(rows, sets)]
    seeds = ", ".join(str(seed) for seed in sorted({row["seed"] for row in rows}))
    return "\n\n".join([*parts, f"Seeds {seeds}. {machine_sentence(results['machine'])}"])


def _copies(rows: Rows, sets: Sequence[str]) -> str:
    # A tool that couldn't be run has no column.
    tools = [tool for tool in TOOLS if any(row["tool"] == tool for row in rows)]
    lines = ["| copies, found of planted | set | " + " | ".join(tools) + " |", "|---|---|" + "---|" * len(tools)]
    kinds = [row["kind"] for row in rows if row["tool"] == "tellapart" and "planted" in row]
    poor = {"dark", "light", "blank", "blurred", "cut file"}
    for kind in dict.fromkeys(kinds):
        if kind in poor:
            continue
        for name in sets:
            cells = [_share(_of(rows, name, tool, kind)) for tool in tools]
            lines.append(f"| {kind} | {name} | {' | '.join(cells)} |")
    for name in sets:
        cells = [_precision(_of(rows, name, tool, "pairs")) for tool in tools]
        lines.append(f"| **precision of all pairs** | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _poor(rows: Rows, sets: Sequence[str]) -> str:
    tools = TOOLS[:2]
    lines = [
        "| poor pictures, found of planted; others flagged | set | " + " | ".join(tools) + " |",
        "|---|---|---|---|",
    ]
    for kind in ("dark", "light", "blank", "blurred", "cut file"):
        for name in sets:
            found = [_of(rows, name, tool, kind) for tool in tools]
            cells = [f"{_share(part)}; {sum(row['wrong'] for row in part)}" if part else "" for part in found]
            lines.append(f"| {kind} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _shortcuts(rows: Rows, sets: Sequence[str]) -> str:
    lines = [f"| shortcut, found in how many seeds | {' | '.join(sets)} |", "|---" * (len(sets) + 1) + "|"]
    for kind in dict.fromkeys(row["kind"] for row in rows if row["kind"] != "clean"):
        parts = [[row for row in rows if (row["kind"], row["set"]) == (kind, name)] for name in sets]
        cells = [f"{sum(row['is_found'] for row in part)} of {len(part)}" for part in parts]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    cells = []
    for name in sets:
        found = [said for row in rows if row["kind"] == "clean" and row["set"] == name for said in row["found"]]
        cells.append("; ".join(dict.fromkeys(said.partition(" (")[0] for said in found)) or "none")
    lines.append(f"| **said of the clean set** | {' | '.join(cells)} |")
    return "\n".join(lines)


def _seconds(rows: Rows, sets: Sequence[str]) -> str:
    lines = ["| seconds | " + " | ".join(sets) + " |", "|---" * (len(sets) + 1) + "|"]
    for tool in TOOLS:
        parts = {name: _of(rows, name, tool, "seconds") for name in sets}
        for key in ("import", "features", "compare", "all"):
            if all(key in row for part in parts.values() for row in part) and all(parts.values()):
                cells = [f"{statistics.fmean(row[key] for row in part):.1f}" for part in parts.values()]
                lines.append(f"| {tool}{'' if key == 'all' else ', ' + key} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _of(rows: Rows, name: str, tool: str, kind: str) -> list[dict[str, Json]]:
    return [row for row in rows if (row["set"], row["tool"], row["kind"]) == (name, tool, kind)]


def _share(rows: Rows) -> str:
    planted = sum(row["planted"] for row in rows)
    return f"{sum(row['found'] for row in rows)} / {planted}" if planted else ""


def _precision(rows: Rows) -> str:
    found = sum(row["found"] for row in rows)
    wrong = sum(row["wrong"] for row in rows)
    return f"{(found - wrong) / found:.3f} ({wrong} of {found} wrong)" if found else ""
