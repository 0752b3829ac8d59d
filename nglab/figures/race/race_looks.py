"""How a method looks in every picture of a race: colour, dash and marker, so that it is known in print as well."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

COLOURS = ["#0072b2", "#d55e00", "#00523b", "#ee9fc6", "#e69f00", "#56b4e9", "#000000", "#882255"]
"""Told apart by the colour-blind, and as far as eight can be by their lightness."""

MARKERS = [*((marker, "full") for marker in "os^DvPX<>*"), ("o", "none"), ("s", "none")]
LINES = ["-", (0, (7, 2)), (0, (3, 1.2)), (0, (1, 1.1)), (0, (4, 1, 1, 1, 1, 1))]
BESIDE, BESIDE_MARKERS = "0.55", "x+12"

Looks = dict[str, dict[str, Any]]
"""Arguments of `plot` for each method."""


def race_looks(methods: Sequence[str], beside: Sequence[str] = ()) -> Looks:
    """A look for each method; those beside the race are grey, their markers crosses.

    Eight colours, five dashes and twelve markers in turn: two methods of twelve share at most one of the three.
    """
    own = {name: own_look(i) for i, name in enumerate(methods)}
    return own | {name: look_beside(i) for i, name in enumerate(beside)}


def own_look(i: int) -> dict[str, Any]:
    colour, (marker, fill) = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
    edge = {"mec": "white", "mew": 0.3} if fill == "full" else {"mec": colour, "mew": 0.9}
    look = {"color": colour, "marker": marker, "fillstyle": fill, "ms": 4.2, **edge}
    return look | {"linestyle": LINES[i % len(LINES)], "linewidth": 1.1}


def look_beside(i: int) -> dict[str, Any]:
    look = {
        "color": BESIDE,
        "marker": BESIDE_MARKERS[i % len(BESIDE_MARKERS)],
        "ms": 4.5,
        "mew": 0.9,
    }
    return look | {"linestyle": LINES[i % len(LINES)], "linewidth": 0.9}


def staggered(looks: Looks) -> Looks:
    """The looks with a few markers on each line, at other places on each."""
    spacing = 0.22  # of the panel's diagonal
    starts = {name: 0.02 + spacing * i / len(looks) for i, name in enumerate(looks)}
    return {name: look | {"markevery": (starts[name], spacing)} for name, look in looks.items()}


def legend_below(figure: Figure, looks: Mapping[str, dict[str, Any]], caption: str) -> None:
    """One legend below all panels, headed by how to read them."""
    handles = [Line2D([], [], label=label, **look) for label, look in looks.items()]
    columns = max(3, int(figure.get_figwidth() // 1.35))
    top = figure.subplotpars.bottom - 0.4 / figure.get_figheight()  # below the label of the axis
    figure.legend(
        handles=handles, title=caption, loc="upper center", bbox_to_anchor=(0.5, top),
        ncols=min(columns, len(handles)), handlelength=3.2,
    )  # fmt: skip
