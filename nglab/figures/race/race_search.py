"""Which settings of a method are tried: the same number for each method, chosen by one rule.

Half of the budget is spread over the grid, the method's defaults first; the rest goes, round by round, to the
neighbours of the best so far, one step of one key. A grid ends nowhere: its lists are continued (`grid.continued`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product, zip_longest
from typing import Any

from scipy.stats import qmc

from nglab.figures.race.grid import continued

Setting = tuple[Any, ...]
"""One value a key, in the order of the grid."""

Score = tuple[float, ...]
"""The less the better, the first number first."""

WORST: Score = (math.inf,)
"""Of a setting that cannot be run."""


class Search:
    """The settings of one method on one problem: `ask` for some, `tell` their scores, until nothing is asked.

    A score stands for each clock (criterion), and the best of each has its neighbours tried. `budget` None: the whole
    grid, and no more. Settings that cannot be run (`tell` None) are not counted.
    """

    def __init__(
        self, grid: Mapping[str, Sequence[Any]], first: Setting, budget: int | None, seed: int
    ) -> None:
        self.keys = list(grid)
        self.values = {key: list(values) for key, values in grid.items()}
        self.first, self.budget, self.seed = first, budget, seed
        self.scores: dict[Setting, dict[str, Score]] = {}
        self.refused: set[Setting] = set()

    def ask(self) -> list[Setting]:
        """What is to be tried next; nothing where the budget is used, or the neighbours of the best are all known."""
        if not self.keys:
            return []
        if not self.scores and not self.refused:
            return self.spread()
        if self.budget is None:
            return []
        return list(self.untried())[: self.budget - len(self.scores)]

    def tell(self, setting: Setting, scores: Mapping[str, Score] | None) -> None:
        if scores is None:
            self.refused.add(setting)
        else:
            self.scores[setting] = dict(scores)

    def best(self, clock: str) -> Setting:
        """The setting with the least score; of equal ones the first in the grid. The only one is not tried."""
        if not self.scores:
            return self.first
        return min(self.scores, key=lambda one: (self.scores[one][clock], self.place(one)))

    def place(self, setting: Setting) -> tuple[int, ...]:
        """Where its values stand in the grid's lists."""
        return tuple(self.values[k].index(v) for k, v in zip(self.keys, setting, strict=True))

    def unsettled(self, clock: str) -> list[str]:
        """The keys of the best setting with a neighbour that was not tried."""
        known = self.scores.keys() | self.refused
        best = self.best(clock)
        return [
            key
            for i, key in enumerate(self.keys)
            if any(one not in known for one in self.neighbours_in(best, i))
        ]

    def spread(self) -> list[Setting]:
        """Half of the budget: the first setting, then a Halton sequence's over the grid."""
        lists = [self.values[key] for key in self.keys]
        whole = math.prod(map(len, lists))
        wanted = whole if self.budget is None else min(whole, -(-self.budget // 2))
        inside = all(v in values for v, values in zip(self.first, lists, strict=True))
        chosen = {self.first: None} if inside else {}
        if wanted == whole:
            chosen |= dict.fromkeys(product(*lists))
        points = qmc.Halton(len(lists), seed=self.seed) if lists else None
        while len(chosen) < wanted and points is not None:
            (point,) = points.random(1)
            chosen[tuple(v[int(u * len(v))] for u, v in zip(point, lists, strict=True))] = None
        return list(chosen)

    def untried(self) -> Iterator[Setting]:
        """The untried neighbours of each clock's best, the clocks in turn."""
        clocks = next(iter(self.scores.values()), {})
        known, given = self.scores.keys() | self.refused, set()
        for of_each in zip_longest(*(self.neighbours(self.best(clock)) for clock in clocks)):
            for one in of_each:
                if one is not None and one not in known and one not in given:
                    given.add(one)
                    yield one

    def neighbours(self, setting: Setting) -> Iterator[Setting]:
        for i in range(len(self.keys)):
            yield from self.neighbours_in(setting, i)

    def neighbours_in(self, setting: Setting, i: int) -> Iterator[Setting]:
        """The settings with the next values of key number `i`, above and below."""
        values = self.values[self.keys[i]]
        for step in (1, -1):
            at = values.index(setting[i]) + step
            if 0 <= at < len(values):
                yield (*setting[:i], values[at], *setting[i + 1 :])
            elif (beyond := continued(values, step)) is not None:
                values.insert(at if step > 0 else 0, beyond)
                yield (*setting[:i], beyond, *setting[i + 1 :])
