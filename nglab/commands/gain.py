"""map SGD's loss over its rate and the gain of the initial weights, with NGD beside it

What is done is not done again: a stopped map goes on where it was stopped. What it says: docs/gain.

examples:
  nglab gain
  nglab gain panels=A seeds=2
  nglab gain panels=C 'panel.C.gains=[0.9,1.0]' out=outputs/mine
"""

from nglab.commands._output import as_lists, drawn
from nglab.settings.composing import compose
from nglab.settings.dialect import read

KEYS = {
    "panels": "some of A,B,C",
    "seeds": "how many, in place of the panels' own",
    "out": "the folder; default outputs/gain",
}


def command(arguments: list[str]) -> None:
    given = read("gain", __doc__ or "", arguments, KEYS, more_keys=True)
    config = compose(as_lists(given.overrides, ["panels"]), "gain", KEYS)

    from nglab.figures.gain.compute_gain import gain_map  # torch: once this is right

    drawn(gain_map, config)
