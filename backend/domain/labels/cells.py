"""Cells of CSV files that spreadsheets open: text that looks like a formula is guarded, numbers are left alone.

The guard is an apostrophe in front (CWE-1236). A text that already has apostrophes before such a sign gets one more,
so that taking one away always gives the text back. The full-width signs of Chinese and Japanese start formulas too.
"""

import re
from typing import Final

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r＝＋－＠]")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_GUARDED: Final = re.compile(r"''*[=+\-@\t\r＝＋－＠]")


def guarded(text: str) -> str:
    """``text`` as a cell that no spreadsheet runs."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unguarded(cell: str) -> str:
    """The text that ``guarded`` made a cell of."""
    return cell[1:] if _GUARDED.match(cell) else cell
