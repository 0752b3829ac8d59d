"""`nglab race`: from its configuration to its tables and pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from nglab.figures.race.race_protocol import Race, read_race
from nglab.figures.race.race_report import write_race
from nglab.figures.race.race_results import (
    chosen_table,
    read_beside,
    refusals,
    times_table,
    tuning_table,
)
from nglab.figures.race.run_race import enter_all, run_race
from nglab.runs.machine import machine
from nglab.settings.building import value_of
from nglab.sweeps.asked import asking

LAUNCHER = ["hydra/launcher=stacked", "hydra.launcher.alone=false"]
"""What tunes where the command line names no launcher."""


def race(
    config: DictConfig, folder: Path, words: Sequence[str] = (), config_dir: str | None = None
) -> list[Path]:
    """Run what is missing in `folder` and write tables and pictures; returns the files.

    `words`: overrides of Hydra's own section for the tuning, such as a launcher; methods also come from `config_dir`.
    """
    protocol = read_race(config)
    values: Any = OmegaConf.to_container(config, resolve=True)
    files = value_of(tuple[str, ...], values["beside"], "beside")
    beside = read_beside(files, protocol.problems)
    named = any(word.startswith("hydra/launcher") for word in words)
    with asking(folder, [*([] if named else LAUNCHER), *words], config_dir) as jobs:
        entrants, refused = enter_all(protocol, jobs)
        result = run_race(protocol, entrants, jobs, folder)
    curves = pd.concat([result.curves, beside], ignore_index=True) if len(beside) else result.curves
    return write_race(
        curves,
        times_table(protocol.problems, curves),
        tuning_table(entrants, protocol),
        chosen_table(entrants, protocol, result.step_seconds),
        machine(),
        result.calibration,
        rules(protocol) | refusals(refused),
        folder,
    )


def rules(race: Race) -> dict[str, str]:
    """How much each method was tuned and trained, a line a problem."""
    last = race.first_tuning_seed
    return {
        f"{p.name}": f"tuned: {p.tuning.settings or 'all'} settings a method,"
        f" seeds {last}–{last + p.tuning.seeds - 1}, {p.tuning.passes:g} passes; reported: seeds"
        f" 0–{p.seeds - 1}, {p.passes:g} passes"
        for p in race.problems
    }
