"""Labels are a rule, then what people changed: classes that were renamed or left out, then single pictures.

A renamed class is a mapping after the rule, not a change of each picture: it also holds for pictures that are added
later, and undoing it is one entry. The mapping has one step only: who merges ``b`` into ``c`` after ``a`` into ``b``
gets ``a`` and ``b`` in ``c``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backend.domain.ids import Digest


@dataclass(frozen=True, slots=True)
class Overrides:
    """What counts instead of a rule's answer; None leaves a picture or a class out.

    Attributes:
        images: labels of single pictures, by the digest of their bytes.
        classes: names of classes, by the name that the rule gives.
    """

    images: Mapping[Digest, str | None] = field(default_factory=dict)
    classes: Mapping[str, str | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.images or self.classes)

    def label(self, digest: Digest, by_rule: str | None) -> str | None:
        """The label of a picture to which the rule gives ``by_rule``; None for none."""
        if digest in self.images:
            return self.images[digest]
        return None if by_rule is None else self.classes.get(by_rule, by_rule)

    def is_left_out(self, digest: Digest, by_rule: str | None) -> bool:
        """Whether a picture has no label because somebody left it or its class out."""
        if digest in self.images:
            return self.images[digest] is None
        return by_rule is not None and by_rule in self.classes and self.classes[by_rule] is None


def renamed(classes: Mapping[str, str | None], names: Iterable[str], to: str | None) -> dict[str, str | None]:
    """Changes of the mapping that give the pictures called ``names`` at present the name ``to``; None leaves them out.

    Args:
        classes: the present mapping, by the rule's names.
        names: classes as they are called at present.

    Returns:
        The new name by each of the rule's names that changes; a name that stands for itself needs no mapping.
    """
    wanted = {*names} - {to}
    sources = {name for name, now in classes.items() if now in wanted}
    sources |= {name for name in wanted if name not in classes}
    return {name: to for name in sorted(sources)}
