"""Runs as TensorBoard's event files: a folder a run, the columns of its rows as scalars, its settings as hparams.

A scalar's step is the examples seen, so that methods of different batch sizes are side by side; its time is the run's
clock, so that TensorBoard's relative time is the seconds of training.
"""

from collections.abc import Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from nglab.exporting.exported import Exported

PLACES = ("examples_seen", "train_seconds")


def write(runs: Sequence[Exported], out: Path) -> Sequence[Path]:
    for run in runs:
        write_run(run, out / run.name)
    return [out]


def write_run(run: Exported, folder: Path) -> None:
    with SummaryWriter(str(folder)) as writer:
        for row in run.rows:
            examples, seconds = int(row["examples_seen"]), row["train_seconds"]
            for name, value in row.items():
                if name not in PLACES:
                    writer.add_scalar(name, value, examples, walltime=seconds)
        results = {f"summary/{name}": value for name, value in run.results.items()}
        writer.add_hparams(run.settings, results, run_name=".")
