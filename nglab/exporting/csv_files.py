"""Runs as two tables: `runs.csv` has a row a run, `rows.csv` a row an evaluation of any of them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nglab.exporting.exported import Exported
from nglab.runs.many import collect, differing_keys, flatten
from nglab.runs.outputs import writing


def write(runs: Sequence[Exported], out: Path) -> Sequence[Path]:
    tables = {"runs.csv": collect(run.record for run in runs), "rows.csv": rows(runs)}
    for name, table in tables.items():
        with writing(out / name) as file:
            table.to_csv(file, index=False)
    return [out / name for name in tables]


def rows(runs: Sequence[Exported]) -> pd.DataFrame:
    """The rows of all runs, each with its run's name, with what tells the runs apart and with the seed."""
    keys = [*differing_keys([flatten(run.record.settings) for run in runs]), "seed"]
    return pd.concat([table(run, keys) for run in runs], ignore_index=True)


def table(run: Exported, keys: Sequence[str]) -> pd.DataFrame:
    settings = flatten(run.record.settings)
    own = {"run": run.name} | {key: settings.get(key) for key in keys}
    metrics = run.record.metrics
    return pd.concat([pd.DataFrame(own, index=metrics.index), metrics], axis=1)
