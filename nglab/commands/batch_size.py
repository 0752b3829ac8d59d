"""draw the steps and the examples that natural gradient descent needs against its batch size

What is done is not done again: a stopped figure goes on where it was stopped. What it says: docs/batch_size.

examples:
  nglab batch_size
  nglab batch_size panels=A,C seeds=1
"""

from nglab.commands._output import as_lists, drawn
from nglab.settings.composing import compose
from nglab.settings.dialect import read

KEYS = {
    "panels": "some of A,B,C,D",
    "seeds": "how many, in place of the panels' own",
    "out": "the folder; default outputs/batch_size",
}


def command(arguments: list[str]) -> None:
    given = read("batch_size", __doc__ or "", arguments, KEYS, more_keys=True)
    config = compose(as_lists(given.overrides, ["panels"]), "batch_size", KEYS)

    from nglab.figures.batch_size.compute_batch_size import batch_sizes  # torch: once this is right

    drawn(batch_sizes, config)
