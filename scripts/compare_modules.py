"""Train an autoencoder and a small CNN on MNIST by torch.optim and by nglab.torch: losses by passes and by seconds.

    python scripts/compare_modules.py docs/bench/modules.csv            # all, and the tables beside it, modules.md
    python scripts/compare_modules.py cnn.csv --problems cnn --methods Adam KFAC
    python scripts/compare_modules.py docs/bench/modules.csv --vary     # what each setting of KFAC costs or brings

Of each method one number (a rate, a damping) is searched on the ladder 1, 2, 5, 10, …, from a start until the best has
worse ones on both sides, at each of a few other settings: one seed, trained on the first 50 000 images and measured on
the last 10 000; the best three by each clock with a second seed, too. What is best then is trained on all images with
other seeds and measured on the test images. Seconds are the processor's in the steps, one thread. The same command
again leaves out what the file has.
"""

import argparse
import ast
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import nglab  # noqa: F401  (before torch)

# isort: split
import pandas as pd
import torch
from beside_the_race import as_text
from module_methods import METHODS, PROBLEMS, VARIED, Settings
from module_tables import by_clock, loss_at, searched, varied
from module_training import Record, splits, train

PASSES, FINALISTS, SEARCH_SEEDS = 3, 3, (100, 101)
EXAMPLES = 60_000, 10_000
"""Training and test images."""

HEAD = """# Models of other people: losses

`nglab.torch` beside `torch.optim` on MNIST, float32, processor seconds of one thread. The autoencoder is that of
Figure 1D as an `nn.Sequential`, first weights N(0, 1/n_in), loss ½ ‖y − z‖² an image; the CNN has 8 filters of
5 × 5, 16 of 3 × 3, both of stride 2 and with tanh, and a linear layer, PyTorch's first weights, loss in nats (in
brackets: error in percent). Medians over the seeds on the test images, by the settings that were best on held-out
training images, by passes and by seconds. All rows, the searches' too, are in the CSV beside. Made by

    python scripts/compare_modules.py docs/bench/modules.csv --vary"""


def rung(place: int) -> float:
    """…, 0.1, 0.2, 0.5, 1, 2, 5, …; 1 is at place 0."""
    return float(f"{(1, 2, 5)[place % 3]}e{place // 3}")


def place_of(value: float) -> int:
    return min(range(-40, 40), key=lambda place: abs(math.log(rung(place) / value)))


def climb(score: Callable[[float], float], start: float) -> float:
    """The rung of the least score, found from `start`; both of its neighbours have been tried."""
    middle = place_of(start)
    tried = {place: score(rung(place)) for place in (middle - 1, middle, middle + 1)}
    while (best := min(tried, key=lambda place: tried[place])) in (min(tried), max(tried)):
        beyond = best - 1 if best == min(tried) else best + 1
        tried[beyond] = score(rung(beyond))
    return rung(best)


def trained(
    record: Record, name: str, method: str, kind: str, settings: str, seed: int
) -> pd.DataFrame:
    """The curve of a run: a "run" is told, a "search" or "vary" is measured on images held out."""
    problem, least = PROBLEMS[name], {"passes": float(PASSES)}
    if kind == "run":
        least["seconds"] = problem.seconds[-1]

    def rows() -> Iterator[dict[str, float]]:
        given = settings_of(settings)
        batch_size = given.pop("batch_size")
        make = partial(METHODS[method].make, problem, settings=given)
        data, held = splits(*EXAMPLES)["run" if kind == "run" else "search"]
        return train(problem, make, data, held, batch_size, seed, least)

    key = {"problem": name, "method": method, "kind": kind, "settings": settings, "seed": seed}
    return record.curve(key, rows)


def text_of(settings: Settings) -> str:
    """The same for the same settings, in whatever order."""
    return as_text(dict(sorted(settings.items())))


def settings_of(text: str) -> dict[str, Any]:
    """What `text_of` made a text of."""
    return dict(setting_of(word) for word in text.split())


def setting_of(word: str) -> tuple[str, Any]:
    """A key and a number, or a name."""
    key, _, value = word.partition("=")
    return key, value if value.isalpha() else ast.literal_eval(value)


def clocks(name: str) -> dict[str, float]:
    """Clock → where a search compares: after all passes, and after the middle one of the seconds."""
    return {"passes": float(PASSES), "seconds": PROBLEMS[name].seconds[1]}


def search(record: Record, name: str, method: str) -> dict[str, str]:
    """Clock → the best settings by it: of the best three of one seed those with the least mean of two."""
    own, tried, marks = METHODS[method], {}, clocks(name)

    def loss(clock: str, settings: str, seed: int) -> float:
        curve = trained(record, name, method, "search", settings, seed)
        return loss_at(curve, clock, marks[clock])

    def score(clock: str, others: Settings, value: float) -> float:
        settings = text_of({own.searched: value, **others})
        tried[settings] = None
        return loss(clock, settings, SEARCH_SEEDS[0])

    def choose(clock: str) -> str:
        finalists = sorted(tried, key=lambda settings: loss(clock, settings, SEARCH_SEEDS[0]))
        return min(
            finalists[:FINALISTS],
            key=lambda settings: sum(loss(clock, settings, seed) for seed in SEARCH_SEEDS),
        )

    for clock, others in product(marks, own.others):
        climb(partial(score, clock, others), own.start[name])
    return {clock: choose(clock) for clock in marks}


def compare(record: Record, name: str, methods: Sequence[str], seeds: int) -> str:
    """Search and train what is not in the file; returns the tables of a problem."""
    chosen = {method: search(record, name, method) for method in methods}
    for method, by_clocks in chosen.items():
        for settings, seed in product(by_clocks.values(), range(seeds)):
            trained(record, name, method, "run", settings, seed)
    kinds = dict(list(record.rows[record.rows.problem == name].groupby("kind")))
    marks = {"passes": range(1, PASSES + 1), "seconds": PROBLEMS[name].seconds}
    parts = [f"## {name}"]
    for clock in clocks(name):
        settings = {method: by_clocks[clock] for method, by_clocks in chosen.items()}
        parts.append(by_clock(kinds["run"], settings, clock, marks[clock]))
    if "vary" in kinds:
        parts += ["### One setting of KFAC changed", varied(kinds["vary"], clocks(name))]
    return "\n\n".join([*parts, "### Searched", *searched(kinds["search"], clocks(name))])


def vary(record: Record, name: str) -> None:
    """KFAC's best settings by passes, and each of `VARIED` in turn."""
    best = settings_of(search(record, name, "KFAC")["passes"])
    for key, values in VARIED.items():
        for value in values:
            trained(record, name, "KFAC", "vary", text_of({**best, key: value}), SEARCH_SEEDS[0])


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    line = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=line)
    parser.add_argument("file", type=Path, help="the CSV of all rows")
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 on")
    parser.add_argument("--vary", action="store_true", help="change KFAC's settings one by one too")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    asked = arguments(words)
    torch.set_num_threads(1)
    record = Record(asked.file)
    parts = [HEAD]
    for name in asked.problems:
        if asked.vary:
            vary(record, name)
        parts.append(compare(record, name, asked.methods, asked.seeds))
    asked.file.with_suffix(".md").write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
