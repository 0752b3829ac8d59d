"""What natural gradient descent needs to the floor against its batch size M: steps, and examples."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from omegaconf import DictConfig

from nglab.figures.batch_size.draw_batch_size import draw_batch_size, to_markdown
from nglab.figures.panels import panels_of
from nglab.figures.swept import SweptFigure, Trial
from nglab.settings.fields import Count, Positive, setting

BATCH_SIZE = SweptFigure("batch_size", draw_batch_size, to_markdown)

EVERY = 250
"""Examples between two evaluations, at least: no more than a step where a step takes as many."""


@dataclass(frozen=True)
class BatchPanel:
    """One network, each method at each batch size."""

    arch: str = setting("the option of `nglab run`")
    passes: dict[Count, Positive] = setting("batch size → how long it trains")
    seeds: Count = setting("how many runs of each")
    methods: dict[str, tuple[str, ...]] = setting("name → the overrides that make it")

    def trials(self, panel: str) -> Iterator[Trial]:
        for (method, words), batch in product(self.methods.items(), self.passes):
            passes, every = self.passes[batch], batch * -(-EVERY // batch)
            own = [
                f"arch={self.arch}",
                *words,
                f"optimizer.batch_size={batch}",
                f"train.passes={passes:g}",
                f"train.eval_every_examples={every}",
            ]
            about = {"panel": panel, "arch": self.arch, "method": method, "batch_size": batch}
            for seed in range(self.seeds):
                yield Trial(
                    f"{panel}/{method}/{batch}/{seed}",
                    [*own, f"seed={seed}"],
                    about | {"seed": seed, "passes": passes},
                )


def batch_sizes(config: DictConfig, folder: Path) -> list[Path]:
    """Train what is missing below `folder`; writes `batch_size.png`, `.pdf`, `.svg`, `.csv`, `.md`, returns the files.

    The table has a row a run: panel, arch, method, batch_size, seed, passes, and what `swept` says of it.
    """
    panels = panels_of(config, BatchPanel)
    trials = [trial for name, panel in panels.items() for trial in panel.trials(name)]
    return BATCH_SIZE.make(trials, folder)
