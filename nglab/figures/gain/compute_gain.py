"""The gain map: what the gain g of the initial weights makes of SGD's best rate, and of natural gradient descent."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from omegaconf import DictConfig

from nglab.figures.gain.draw_gain import draw_gain, to_markdown
from nglab.figures.panels import panels_of
from nglab.figures.swept import SweptFigure, Trial
from nglab.settings.fields import Count, Positive, setting

GAIN = SweptFigure("gain", draw_gain, to_markdown)


@dataclass(frozen=True)
class GainPanel:
    """One network: SGD at every gain and rate, NGD at every gain."""

    arch: str = setting("the option of `nglab run`")
    paper_rate: Positive = setting("α of SGD that the paper's own grid search chose")
    gains: tuple[Positive, ...] = setting("g of the initial weights, and of the teacher's")
    rates: tuple[Positive, ...] = setting("α of SGD")
    seeds: Count = setting("how many runs of each")
    passes: Positive = setting("how long SGD trains")
    ngd_passes: Positive = setting("how long NGD does")

    def trials(self, panel: str) -> Iterator[Trial]:
        for gain, seed in product(self.gains, range(self.seeds)):
            words = [f"arch={self.arch}", f"init.gain={gain:g}", f"seed={seed}"]
            about = {"panel": panel, "arch": self.arch, "gain": gain, "seed": seed}
            about |= {"paper_learning_rate": self.paper_rate}
            for rate in self.rates:
                sgd = ["optimizer=sgd", f"optimizer.lr={rate:g}", f"train.passes={self.passes:g}"]
                own = {"method": "SGD", "learning_rate": rate, "passes": self.passes}
                place = f"{panel}/sgd/gain={gain:g},lr={rate:g}/{seed}"
                yield Trial(place, [*words, *sgd], about | own)
            ngd = ["optimizer=ngd", f"train.passes={self.ngd_passes:g}"]
            own = {"method": "NGD", "learning_rate": 1.0, "passes": self.ngd_passes}
            yield Trial(f"{panel}/ngd/gain={gain:g}/{seed}", [*words, *ngd], about | own)


def gain_map(config: DictConfig, folder: Path) -> list[Path]:
    """Train what is missing below `folder` and write `gain.png`, `.pdf`, `.svg`, `.csv`, `.md`; returns the files.

    The table has a row a run: panel, arch, gain, seed, method, learning_rate, and what `swept` says of it.
    """
    panels = panels_of(config, GainPanel)
    trials = [trial for name, panel in panels.items() for trial in panel.trials(name)]
    return GAIN.make(trials, folder)
