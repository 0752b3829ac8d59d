"""How a method looks in every picture of a race: colour, dash and marker, so that it is known in print as well."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nglab.plotting import style

COLOURS = [*style.PALETTE[:7], "#882255"]
MARKERS = "os^DvPX<*p>h"
LINES = ["-", (0, (7, 2)), (0, (3, 1.2)), (0, (1, 1.1)), (0, (4, 1, 1, 1, 1, 1))]
BESIDE = {"color": "0.55", "mec": "0.55", "mfc": "white", "mew": 0.6, "linewidth": 0.9}

Looks = dict[str, dict[str, Any]]
"""Arguments of `plot` for each method."""


def race_looks(methods: Sequence[str], beside: Sequence[str] = ()) -> Looks:
    """A look for each method; those beside the race are grey, their markers open.

    Eight colours, five dashes and twelve markers in turn: two methods of twelve share at most one of the three.
    """
    own = {name: shape(i) | {"color": COLOURS[i % len(COLOURS)]} for i, name in enumerate(methods)}
    return own | {name: shape(i) | BESIDE for i, name in enumerate(beside)}


def shape(i: int) -> dict[str, Any]:
    marker = {"marker": MARKERS[i % len(MARKERS)], "ms": 3.8, "mec": "white", "mew": 0.3}
    return {"linestyle": LINES[i % len(LINES)], "linewidth": 1.1} | marker


def staggered(looks: Looks) -> Looks:
    """The looks with a few markers on each line, at other places on each."""
    spacing = 0.3  # of the panel's diagonal
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
