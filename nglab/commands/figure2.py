"""integrate the natural-gradient flow of linear networks and draw Figure 2

Loss along the flow for Eq. 10, for the exact step in closed form, and the line e^(-2t).

examples:
  nglab figure2
  nglab figure2 out=outputs/mine
"""

from nglab.commands._output import show_log
from nglab.settings.dialect import read

KEYS = {"out": "the folder; default outputs/figure2"}


def command(arguments: list[str]) -> None:
    given = read("figure2", __doc__ or "", arguments, KEYS)

    from nglab.figures.figure2.compute_figure2 import figure2

    show_log()
    for file in figure2(given.folder("out", "outputs/figure2")):
        print(file)
