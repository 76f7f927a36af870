"""Numbers in names: what was photographed or exported one after the other."""

import re
from typing import Final

_NUMBER: Final = re.compile(r"\d+(?=\D*$)")
_LONGEST: Final = 15


def place_in_sequence(path: str) -> tuple[str, int] | None:
    """What a name shares with its neighbours, and its number: ``a/IMG_0042.jpg`` gives (``a/IMG_#.jpg``, 42).

    The number is the last one of the file's name. None where there is none, or one so long that it is no count.
    """
    folder, slash, name = path.rpartition("/")
    found = _NUMBER.search(name)
    if found is None or len(found[0]) > _LONGEST:
        return None
    return f"{folder}{slash}{name[: found.start()]}#{name[found.end() :]}", int(found[0])
