"""Trivial traits of pictures as numbers, for the search for shortcuts."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backend.datasets.examine.copies import PairKind
from backend.datasets.health.picture import Material, Measured, Picture
from backend.datasets.health.shortcuts import Columns


def trait_columns(pictures: Sequence[Picture]) -> dict[str, Columns]:
    """(N,) values of every trait of measured pictures, by its name in ``shortcuts.TRAITS``."""

    def column(value: Callable[[Picture, Measured], Any]) -> Columns:  # Any: numbers that JSON kept
        return np.array([value(picture, picture.measured) for picture in pictures if picture.measured], dtype=float)

    def code(value: Callable[[Picture, Measured], object]) -> Columns:
        codes: dict[object, int] = {}
        return column(lambda picture, measured: codes.setdefault(value(picture, measured), len(codes)))

    return {
        "width": column(lambda picture, _: picture.width),
        "height": column(lambda picture, _: picture.height),
        "aspect": column(lambda picture, _: math.log(picture.width / picture.height)),
        "format": code(lambda picture, _: picture.format),
        "mode": code(lambda _, measured: measured.traits.get("mode")),
        "bytes_a_pixel": column(lambda picture, _: math.log(picture.bytes / (picture.width * picture.height))),
        "coarseness": column(lambda _, measured: measured.traits.get("coarseness", 0)),
        "colour": column(lambda _, measured: measured.traits["colour"]),
        "red": column(lambda _, measured: measured.traits["border"][0]),
        "green": column(lambda _, measured: measured.traits["border"][1]),
        "blue": column(lambda _, measured: measured.traits["border"][2]),
        "spread": column(lambda _, measured: measured.traits["border_spread"]),
        "camera": code(lambda _, measured: measured.traits.get("camera")),
        "orientation": column(lambda _, measured: measured.traits.get("orientation", 1)),
        "brightness": column(lambda _, measured: measured.brightness),
        "dark": column(lambda _, measured: measured.dark),
        "light": column(lambda _, measured: measured.light),
    }


def copy_groups(material: Material, pictures: Sequence[Picture]) -> list[int]:
    """A number for each picture; those that show the same or belong to one moment share it."""
    number = {picture.id: at for at, picture in enumerate(pictures)}
    for group in material.groups(*PairKind):
        first = number.get(group[0].id, -1)
        for picture in group:
            if picture.id in number and first >= 0:
                number[picture.id] = first
    return [number[picture.id] for picture in pictures]
