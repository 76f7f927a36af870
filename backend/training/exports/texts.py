"""Names that people gave, in Markdown: they stay text, whatever is written in them."""

import html
import re
from typing import Final

_MEANT: Final = re.compile(r"([\\`*_{}\[\]()#+!|~$-])")


def in_markdown(text: str) -> str:
    """``text`` as a part of a line of Markdown that shows just what it says."""
    line = " ".join(text.split())
    # First what means something in HTML, which Markdown lets through.
    return _MEANT.sub(r"\\\1", html.escape(line, quote=False))
