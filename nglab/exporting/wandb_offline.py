"""Runs as Weights & Biases keeps them offline: a folder a run below `wandb/`, which `wandb sync` may send later.

Nothing is sent from here. The step of a row is the examples seen.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from nglab.exporting.exported import Exported

os.environ["WANDB_ERROR_REPORTING"] = "false"  # before it is imported
import wandb

PROJECT = "nglab"


def write(runs: Sequence[Exported], out: Path) -> Sequence[Path]:
    out.mkdir(parents=True, exist_ok=True)
    for run in runs:
        write_run(run, out)
    wandb.teardown()  # all of it is on the disk
    return sorted((out / "wandb").glob("offline-run-*"))


def write_run(run: Exported, out: Path) -> None:
    quiet = wandb.Settings(console="off", silent=True, disable_git=True, disable_code=True, x_disable_stats=True,
                           x_disable_meta=True, x_disable_machine_info=True, x_save_requirements=False)  # fmt: skip
    with wandb.init(
        project=PROJECT,
        name=run.name,
        config=run.settings,
        dir=str(out),
        mode="offline",
        settings=quiet,
    ) as session:
        for row in run.rows:
            session.log(row, step=int(row["examples_seen"]))
        session.summary.update(run.results | {"status": run.record.summary["status"]})
