"""Networks by their names: those of the catalogue, and what is looked up elsewhere or carried by a run's config."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from pydantic import TypeAdapter

from backend.domain.architectures import ARCHITECTURES, Architecture
from backend.domain.errors import InvalidInput
from backend.domain.json import Json


class Lookup(Protocol):
    """Where networks beyond the written entries are looked up."""

    def named(self, name: str, weights: str | None = None) -> Architecture | None:
        """The network of that name, which may take seconds the first time; None where there is none."""
        ...

    def names(self) -> Sequence[str]:
        """All names that ``named`` knows."""
        ...


class UnknownArchitecture(InvalidInput):
    """There is no network of that name."""

    code = "architecture-unknown"

    def __init__(self, name: str, further: Sequence[str] = ()) -> None:
        all_names = [*ARCHITECTURES, *further] if len(name) <= _LONGEST else []
        near = difflib.get_close_matches(name.lower(), all_names, n=_NEAR, cutoff=_ALIKE)
        super().__init__(
            f"There is no architecture called “{name}”.",
            advice=f"Choose one of: {', '.join(near or ARCHITECTURES)}."
            + (" Or write the name of any network of the library timm." if further else ""),
            details={"architecture": name, "known": list(ARCHITECTURES), "near": near},
        )


_NEAR: Final = 4
_ALIKE: Final = 0.6
_LONGEST: Final = 100
"""Characters of a name that is compared with others; none that exists is as long."""
_lookups: list[Lookup] = []
_remembered: dict[str, Architecture] = {}


def use_lookup(lookup: Lookup | None) -> None:
    """Look names that aren't written down here up there, in this process; None looks nowhere."""
    _lookups[:] = [] if lookup is None else [lookup]


def look_up(name: str, weights: str | None = None) -> Architecture:
    """The network of a name that a person or program has given; ``weights`` choose among those of one name.

    Raises:
        UnknownArchitecture
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    for lookup in _lookups:
        if found := lookup.named(name, weights):
            return found
    if name in _remembered:  # an earlier version of the library had it
        return _remembered[name]
    raise UnknownArchitecture(name, [one for lookup in _lookups for one in lookup.names()])


def remember(entry: Architecture) -> None:
    """Know an entry by its name from now on, in this process: a training's config carries that of its network."""
    if entry.name not in ARCHITECTURES:
        _remembered[entry.name] = entry


def architecture_named(name: str) -> Architecture:
    """The entry of a network that is in the catalogue, or in a config that this process has read.

    Raises:
        UnknownArchitecture
    """
    found = ARCHITECTURES.get(name) or _remembered.get(name)
    if found is None:
        raise UnknownArchitecture(name)
    return found


def is_known(name: str) -> bool:
    """Whether ``architecture_named`` knows it."""
    return name in ARCHITECTURES or name in _remembered


def title_of(name: str) -> str:
    """How people call a network."""
    return ARCHITECTURES[name].title if name in ARCHITECTURES else name


class UnknownWeights(InvalidInput):
    """The architecture has no pretrained weights of that name."""

    code = "weights-unknown"

    def __init__(self, architecture: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f"{architecture} has no weights called “{name}”.",
            advice=f"Choose one of: {', '.join(known)}.",
            details={"architecture": architecture, "weights": name, "known": list(known)},
        )


class ImageSizeUnsuitable(InvalidInput):
    """The network doesn't take pictures of that size."""

    code = "image-size-unsuitable"

    def __init__(self, architecture: Architecture, size: int, possible: tuple[int, ...]) -> None:
        takes = (
            f"takes only pictures of {architecture.default_image_size} pixels"
            if architecture.is_fixed_size
            else f"divides pictures into squares of {architecture.size_step} pixels"
        )
        super().__init__(
            f"{architecture.title} {takes}, so {size} isn't possible.",
            advice=f"Choose a picture size of {' or '.join(str(one) for one in possible)} pixels, or another model.",
            details={"architecture": architecture.name, "image_size": size, "possible": list(possible)},
        )


def require_size(architecture: Architecture, size: int) -> None:
    """Refuse a size of pictures that the network doesn't take.

    Raises:
        ImageSizeUnsuitable
    """
    if architecture.is_fixed_size and size != architecture.default_image_size:
        raise ImageSizeUnsuitable(architecture, size, (architecture.default_image_size,))
    if step := size % architecture.size_step:
        sizes = (size - step, size - step + architecture.size_step)
        raise ImageSizeUnsuitable(architecture, size, tuple(one for one in sizes if 32 <= one <= 1024))


def suited(
    architecture: Architecture, *, freeze: bool, image_size: int | None, max_lr: Json
) -> dict[str, int | tuple[float, float]]:
    """What must change of a recipe's stage so that it suits a network that the recipe wasn't measured with.

    Networks without batch norm lose what they have learnt at the rates that suit those with it; they get
    the usual rates of their fine-tuning, lower and lower towards the first layers (layer decay: BEiT,
    arXiv:2106.08254). Reasoned, not measured: no such weights were available.
    """
    changes: dict[str, int | tuple[float, float]] = {}
    if image_size is not None:
        changes["image_size"] = suitable_size(architecture, image_size)
    if not architecture.has_batch_norm and not freeze and isinstance(max_lr, tuple) and max_lr[0] > _GENTLE[1]:
        changes["max_lr"] = _GENTLE
    return changes


_GENTLE: Final = (1e-5, 3e-4)
"""Rates of the first layers and of the head."""


def suitable_size(architecture: Architecture, size: int) -> int:
    """The largest size of pictures up to ``size`` that the network takes; its only one where it has no other."""
    if architecture.is_fixed_size:
        return architecture.default_image_size
    return max(size - size % architecture.size_step, architecture.size_step)


def architecture_of(config: Mapping[str, Json]) -> Architecture:
    """The network of a run's config as it is stored; what its facts were then counts."""
    network = config.get("network")
    return architecture_named(config["architecture"]) if network is None else _NETWORK.validate_python(network)


_NETWORK: Final[TypeAdapter[Architecture]] = TypeAdapter(Architecture)
