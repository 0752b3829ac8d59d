"""train what Figure 1 needs and draw it

What is done is not done again: a stopped figure goes on where it was stopped.

examples:
  nglab figure1
  nglab figure1 preset=smoke
  nglab figure1 preset=paper panels=A,B seeds=5
  nglab figure1 out=outputs/mine
"""

from nglab.commands._output import as_lists, drawn, with_preset
from nglab.settings.composing import compose
from nglab.settings.dialect import read

KEYS = {
    "preset": "smoke, default or paper: how long and how often",
    "panels": "some of A,B,C,D",
    "seeds": "how many, instead of the preset's",
    "out": "the folder; default outputs/figure1/PRESET",
}


def command(arguments: list[str]) -> None:
    given = read("figure1", __doc__ or "", arguments, KEYS, more_keys=True)
    with with_preset(as_lists(given.overrides, ["panels"]), "figure1") as overrides:
        config = compose(overrides, "figure1", KEYS)

    from nglab.figures.figure1.compute_figure1 import figure1  # torch: once this is right

    drawn(figure1, config)
