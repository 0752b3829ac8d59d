"""fetch a data set, verify it, and say where it lies

examples:
  nglab data mnist
  nglab data mnist data.root=/scratch/data
  NGLAB_DATA=/scratch/data nglab data mnist
"""

from nglab.commands._output import show_log
from nglab.errors import InputError
from nglab.settings.dialect import read

KEYS = {"data.root": "the folder; default $NGLAB_DATA, else the user's cache"}


def command(arguments: list[str]) -> None:
    given = read("data", __doc__ or "", arguments, KEYS, "mnist", least=1)
    if given.positions != ["mnist"]:
        raise InputError(f"{given.positions[0]}: no such data to fetch; there is mnist")

    from nglab.data.mnist_files import fetch

    show_log()
    print(fetch(given.settings.get("data.root")))
