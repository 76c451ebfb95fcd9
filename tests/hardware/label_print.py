"""A label as a label printer prints it: black and white dots, so many to the millimetre. Texts are left out."""

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import numpy.typing as npt

SPACE = "{http://www.w3.org/2000/svg}"
_TRANSFORM = re.compile(r"translate\(([\d.]+) ([\d.]+)\) scale\(([\d.]+)\)")
_SQUARE = re.compile(r"M(\d+),(\d+)h1v1h-1z")


def printed(svg: str, dots_per_mm: float) -> npt.NDArray[np.uint8]:
    """The label's dots as grey values, rows first; a dot is black if its middle lies in a dark square."""
    root = ElementTree.fromstring(svg)
    path = root.find(f"{SPACE}path")
    assert path is not None
    transform = _TRANSFORM.fullmatch(path.get("transform", ""))
    assert transform is not None
    left_mm, top_mm, module_mm = (float(number) for number in transform.groups())
    width_mm, height_mm = (float(root.get(side, "").removesuffix("mm")) for side in ("width", "height"))
    dark = {(int(x), int(y)) for x, y in _SQUARE.findall(path.get("d", ""))}
    dots: npt.NDArray[Any] = np.full((int(height_mm * dots_per_mm), int(width_mm * dots_per_mm)), 255, np.uint8)
    for row in range(dots.shape[0]):
        y = ((row + 0.5) / dots_per_mm - top_mm) / module_mm
        for column in range(dots.shape[1]):
            x = ((column + 0.5) / dots_per_mm - left_mm) / module_mm
            if x >= 0 and y >= 0 and (int(x), int(y)) in dark:
                dots[row, column] = 0
    return dots
