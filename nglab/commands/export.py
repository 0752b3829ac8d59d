"""write finished runs for other programs: CSV, TensorBoard, Weights & Biases offline

Runs that are finished or diverged are written into a new folder; nothing is sent anywhere. TensorBoard and Weights &
Biases need their packages: pip install "nglab[export]".

examples:
  nglab export outputs/sweeps/rates --to csv
  nglab export outputs --to tensorboard --where optimizer=ngd --out events
  nglab export outputs/runs --to wandb-offline
"""

from pathlib import Path

from nglab.commands._output import WHERE, say
from nglab.errors import InputError
from nglab.settings.dialect import read

KEYS = {
    "to": "csv, tensorboard or wandb-offline",
    "out": "a new folder; default outputs/exported/TO",
    "where": WHERE,
}


def command(arguments: list[str]) -> None:
    given = read("export", __doc__ or "", arguments, KEYS, "DIR ...", least=1, several=["where"])
    if "to" not in given.settings:
        raise InputError(f"to is missing: must be to={KEYS['to']}")

    from nglab.exporting.exported import those_done
    from nglab.exporting.formats import writer
    from nglab.runs.outputs import check_new
    from nglab.runs.selection import runs_with

    write = writer(given.settings["to"])
    out = given.folder("out", Path("outputs", "exported", given.settings["to"]))
    check_new(out)
    folders = [Path(folder) for folder in given.positions]
    for file in write(those_done(runs_with(folders, given.lists["where"], say), say), out):
        print(file)
