"""A small picture in grey, drawn by Pillow: lines, discs and words.

matplotlib takes a third of a second to be imported and some 40 ms for a picture of this size; every run leaves one.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FINE = 3
"""Lines are drawn so many times larger, then reduced."""

WHITE, BLACK = 255, 0
Point = tuple[float, float]
"""Pixels from the left and from the top."""


class Canvas:
    """Lines and discs first, words last: `finished` gives the picture."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("L", (width * FINE, height * FINE), WHITE)
        self.draw = ImageDraw.Draw(self.image)

    def line(self, points: Sequence[Point], width: float, grey: int = BLACK) -> None:
        fine = [(x * FINE, y * FINE) for x, y in points]
        self.draw.line(fine, fill=grey, width=round(width * FINE), joint="curve")

    def dashes(self, height: float, width: float, grey: int) -> None:
        """A dashed level line from edge to edge: four widths drawn, two left out."""
        for x in range(0, self.image.width // FINE, round(6 * width)):
            self.line([(x, height), (x + 4 * width, height)], width, grey)

    def disc(self, centre: Point, radius: float) -> None:
        x, y = centre
        box = [(x - radius) * FINE, (y - radius) * FINE, (x + radius) * FINE, (y + radius) * FINE]
        self.draw.ellipse(box, fill=BLACK)

    def paste(self, other: "Canvas", at: tuple[int, int]) -> None:
        """`other` with its corner there; what was drawn beyond its edges is cut off."""
        self.image.paste(other.image, (at[0] * FINE, at[1] * FINE))

    def finished(self) -> "Words":
        return Words(self.image.reduce(FINE))


class Words:
    """A picture in its final size, to write on."""

    def __init__(self, image: Image.Image) -> None:
        self.image, self.draw = image, ImageDraw.Draw(image)

    def write(self, text: str, at: Point, anchor: str, size: float) -> None:
        """`anchor` as Pillow has it: "ma" is centred below the point, "rm" left of it."""
        self.draw.text(at, text, fill=BLACK, font=font(size), anchor=anchor)

    def write_upwards(self, text: str, at: Point, size: float) -> None:
        """Centred at the point, read from below."""
        width, height = (round(n) + 2 for n in font(size).getbbox(text, anchor="lt")[2:])
        level = Words(Image.new("L", (width, height), WHITE))
        level.write(text, (1, 1), "lt", size)
        x, y = at
        upright = level.image.transpose(Image.Transpose.ROTATE_90)
        self.image.paste(upright, (round(x - height / 2), round(y - width / 2)))

    def save(self, path: Path) -> None:
        self.image.save(path, dpi=(150, 150), compress_level=1)


@cache
def font(size: float) -> ImageFont.FreeTypeFont:
    """matplotlib's own, found without importing it; `size` in pixels."""
    spec = find_spec("matplotlib")
    assert spec is not None and spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size)
