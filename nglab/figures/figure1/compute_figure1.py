"""Figure 1: a race of SGD, its learning rate by grid search, and NGD, then the pictures."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from nglab.errors import InputError
from nglab.figures.figure1.draw_figure1 import draw_figure1, draw_learning_rates, table, to_markdown
from nglab.figures.figure1.statements import statements_table
from nglab.figures.panels import panels_of
from nglab.figures.race.compute_race import LAUNCHER
from nglab.figures.race.race_protocol import FINAL, Problem, Race, Tuning
from nglab.figures.race.race_tuning import Entrant
from nglab.figures.race.run_race import enter_all, run_race
from nglab.runs.folder import whole
from nglab.settings.fields import Count, Positive, setting
from nglab.settings.messages import demand
from nglab.sweeps.asked import asking

log = logging.getLogger(__name__)

METHODS = {"sgd": "SGD", "ngd": "NGD"}
CURVES = ["step", "examples_seen", "passes", "train_seconds", "train_loss", "test_loss", "learning_rate", "damping",
          "reduction_ratio", "skipped_steps", "status", "minimum_loss", "widths", "initial_damping", "panel", "arch",
          "method", "seed"]  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One column of the figure."""

    arch: str = setting("the option of `nglab run`")
    paper_rate: Positive = setting("α of SGD that the paper's own grid search chose")
    rates: tuple[float, ...] = setting("SGD's grid")
    grid_passes: Positive = setting("how long the grid trains")
    passes: Positive = setting("how long the curves do")
    seeds: Count = setting("how many curves of each method")
    overrides: tuple[str, ...] = setting("of all runs", default=())
    ngd: tuple[str, ...] = setting("of NGD's runs alone", default=())

    def check(self, key: str, run: object) -> None:
        right = "one or more numbers above 0"
        demand(min(self.rates, default=0) > 0, f"{key}.rates", list(self.rates), right)

    def problem(self, name: str) -> Problem:
        """SGD's rates are tried on the seeds that are then drawn, a favour to the baseline; NGD is the paper's."""
        return Problem(
            arch=self.arch,
            passes=self.passes,
            seeds=self.seeds,
            tuning=Tuning(settings=None, seeds=self.seeds, passes=self.grid_passes),
            overrides=self.overrides,
            methods={"ngd": self.ngd},
            grids={"sgd": {"lr": sorted(self.rates)}, "ngd": {}},
            name=name,
        )


def figure1(config: DictConfig, folder: Path) -> list[Path]:
    """Train what is missing and write `figure1.*` and `learning_rates.*` into `folder`; returns the files."""
    panels = read_panels(config)
    problems = [panel.problem(name) for name, panel in panels.items()]
    race = Race(list(METHODS), problems, tuned_for=[FINAL], first_tuning_seed=0)
    with asking(folder, LAUNCHER) as jobs:
        entrants, refused = enter_all(race, jobs)
        for why in refused.values():  # both methods run in every panel
            raise InputError(why)
        result = run_race(race, entrants, jobs, folder)
    of_sgd = [one for one in entrants if one.method == "sgd"]
    grid = pd.concat([rates_tried(one, panels[one.problem.name]) for one in of_sgd])
    damping = {
        (one.problem.name, one.method): initial_damping(one.defaults.composed) for one in entrants
    }
    curves = result.curves.rename(columns={"problem": "panel"})
    starts = [damping[key] for key in zip(curves.panel, curves.method, strict=True)]
    curves = curves.assign(initial_damping=starts, method=curves.method.map(METHODS))
    return write_figure(curves[[c for c in CURVES if c in curves]], grid, folder)


def read_panels(config: DictConfig) -> dict[str, Panel]:
    """The panels asked for, the preset's settings filled in."""
    return panels_of(config, Panel)


def rates_tried(sgd: Entrant, panel: Panel) -> pd.DataFrame:
    """A row a rate and seed, with the final test loss, ∞ where it diverged."""
    (best,) = sgd.search.best(FINAL)
    log.info("panel %s (%s): SGD's best rate is %g", sgd.problem.name, panel.arch, best)
    if sgd.search.unsettled(FINAL):
        log.warning("the best rate %g lies at the end of the grid: widen it", best)
    rows = [
        (rate, outcome.seed, outcome.final, outcome.minimum_loss)
        for (rate,), outcomes in sorted(sgd.tried.items())
        for outcome in outcomes
    ]
    columns = ["learning_rate", "seed", "final_test_loss", "minimum_loss"]
    tried = pd.DataFrame(rows, columns=columns)
    return tried.assign(
        arch=panel.arch,
        passes=panel.grid_passes,
        paper_learning_rate=panel.paper_rate,
        panel=sgd.problem.name,
        chosen=tried.learning_rate == best,
    )


def initial_damping(composed: DictConfig) -> float:
    return float(OmegaConf.select(composed, "optimizer.damping.initial", default=math.nan))


def write_figure(curves: pd.DataFrame, grid: pd.DataFrame, folder: Path) -> list[Path]:
    """The pictures, the tables behind them, and `figure1.md`."""
    files = [folder / "figure1.csv", folder / "learning_rates.csv", folder / "figure1.md"]
    for file, content in zip(files, (curves, grid), strict=False):
        with whole(file) as partial:
            content.to_csv(partial, index=False)
    said = statements_table(curves, grid)
    files[2].write_text(f"{to_markdown(table(curves, grid))}\n{said}")
    return [
        *draw_figure1(curves, grid, folder / "figure1"),
        *draw_learning_rates(grid, folder / "learning_rates"),
        *files,
    ]
