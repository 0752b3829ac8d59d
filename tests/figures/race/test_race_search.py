"""The search for a method's settings, on functions whose least is known."""

import math
from itertools import product

import pytest

from nglab.figures.race.race_search import Search

RATES = [0.001, 0.003, 0.01, 0.03, 0.1]
GRID = {"lr": RATES, "batch_size": [10, 20, 50, 125], "schedule": ["constant", "cosine"]}
FIRST = (0.01, 20, "constant")
CLOCK = "examples"


def searched(search, losses, runs=lambda setting: True):
    """`losses` by clock, functions of a setting; `runs`: whether it can be run. The rounds of what was asked."""
    rounds = []
    while asked := search.ask():
        rounds.append(asked)
        for setting in asked:
            scores = {clock: (loss(setting),) for clock, loss in losses.items()}
            search.tell(setting, scores if runs(setting) else None)
    return rounds


def bowl(lr, batch_size=20.0):
    """Separable and convex in the logarithms, least at `lr`, `batch_size` and a cosine."""
    return lambda s: math.log(s[0] / lr) ** 2 + math.log(s[1] / batch_size) ** 2 + (s[2] != "cosine")  # fmt: skip


@pytest.mark.parametrize("keys", [["lr"], ["lr", "batch_size"], list(GRID)])
@pytest.mark.parametrize("budget", [1, 2, 5, 12])
def test_no_method_tries_more_than_the_budget_and_its_own_setting_first(keys, budget):
    first = tuple(dict(zip(GRID, FIRST, strict=True))[key] for key in keys)
    search = Search({key: GRID[key] for key in keys}, first, budget, seed=0)
    rounds = searched(search, {CLOCK: lambda s: sum(map(len, map(str, s)))})
    asked = [setting for one in rounds for setting in one]
    assert asked[0] == first or (len(keys) == 1 and budget > 9)  # the whole grid, in its order
    assert len(set(asked)) == len(asked) == len(search.scores) <= budget
    assert len(rounds[0]) == min(-(-budget // 2), math.prod(len(GRID[key]) for key in keys))


@pytest.mark.parametrize("keys", [["lr", "batch_size"], list(GRID)])
@pytest.mark.parametrize("seed", range(3))
def test_methods_with_more_and_with_fewer_keys_try_equally_many(keys, seed):
    first = tuple(dict(zip(GRID, FIRST, strict=True))[key] for key in keys)
    search = Search({key: GRID[key] for key in keys}, first, 8, seed)
    searched(search, {CLOCK: lambda s: -s[0]})  # ever larger rates: there is always a neighbour
    assert len(search.scores) == 8


def test_the_same_seed_asks_for_the_same_and_another_for_others():
    asked = [searched(Search(GRID, FIRST, 12, seed), {CLOCK: bowl(0.02)}) for seed in (3, 3, 4)]
    assert asked[0] == asked[1] != asked[2]


@pytest.mark.parametrize("lr", [*RATES, 0.3, 3.0, 1e-5])
@pytest.mark.parametrize("seed", range(3))
def test_the_least_of_a_bowl_is_found_within_the_grid_and_beyond_its_end(lr, seed):
    search = Search(GRID, FIRST, 60, seed)
    searched(search, {CLOCK: bowl(lr, 50)})
    best = search.best(CLOCK)
    assert best[1:] == (50, "cosine")
    assert abs(math.log10(best[0] / lr)) < 0.3
    assert search.unsettled(CLOCK) == []
    assert len(search.scores) < 60


def test_what_cannot_be_run_takes_nothing_from_the_budget():
    search = Search(GRID, FIRST, 12, seed=0)
    searched(search, {CLOCK: bowl(0.1, 125)}, runs=lambda setting: setting[1] < 60)
    assert len(search.scores) == 12 and search.refused
    assert all(setting[1] > 60 for setting in search.refused)
    assert search.best(CLOCK)[1] == 50


def test_nothing_can_be_run():
    search = Search(GRID, FIRST, 4, seed=0)
    assert len(searched(search, {CLOCK: bowl(0.1)}, runs=lambda setting: False)) < 20
    assert search.best(CLOCK) == FIRST


@pytest.mark.parametrize("tried", [[], ["lr"], ["schedule"], ["lr", "batch_size"], list(GRID)])
def test_unsettled_are_the_keys_whose_neighbours_were_not_all_tried(tried):
    search = Search(GRID, FIRST, 12, seed=0)
    search.tell(FIRST, {CLOCK: (0.0,)})
    for i, key in enumerate(GRID):
        for one in search.neighbours_in(FIRST, i):
            if key in tried:
                search.tell(one, {CLOCK: (1.0,)})
    assert search.unsettled(CLOCK) == [key for key in GRID if key not in tried]


@pytest.mark.parametrize(("end", "next_value"), [(0.001, 0.0003), (0.1, 0.3)])
def test_at_the_grids_end_one_side_is_not_enough(end, next_value):
    search = Search({"lr": RATES}, (end,), 12, seed=0)
    inside = RATES[1] if end == RATES[0] else RATES[-2]
    search.tell((end,), {CLOCK: (0.0,)})
    search.tell((inside,), {CLOCK: (1.0,)})
    assert search.unsettled(CLOCK) == ["lr"]
    search.tell((next_value,), None)  # cannot be run: that is known then
    assert search.unsettled(CLOCK) == []


def test_without_a_budget_the_whole_grid_is_tried_and_nothing_more():
    search = Search(GRID, FIRST, None, seed=0)
    (asked,) = searched(search, {CLOCK: bowl(10.0)})
    assert set(asked) == set(product(*GRID.values())) and len(asked) == 40
    assert search.best(CLOCK) == (0.1, 20, "cosine")
    assert search.unsettled(CLOCK) == ["lr"]


def test_both_clocks_have_the_neighbours_of_their_best_tried():
    losses = {"examples": bowl(0.001, 10), "seconds": bowl(0.1, 125)}
    search = Search(GRID, FIRST, 40, seed=0)
    searched(search, losses)
    assert search.best("examples") == (0.001, 10, "cosine")
    assert search.best("seconds") == (0.1, 125, "cosine")
    assert search.unsettled("examples") == search.unsettled("seconds") == []


def test_two_clocks_have_equal_shares_of_what_is_left():
    search = Search(GRID, FIRST, 8, seed=0)
    low, high = (0.001, 20, "constant"), (0.1, 20, "constant")
    search.tell(low, {"examples": (0.0,), "seconds": (1.0,)})
    search.tell(high, {"examples": (1.0,), "seconds": (0.0,)})
    asked = search.ask()
    assert len(asked) == 6
    assert [setting in set(search.neighbours(low)) for setting in asked] == [True, False] * 3


def test_equal_scores_go_to_the_first_in_the_grid():
    search = Search({"lr": RATES}, (0.01,), 9, seed=0)
    for lr in reversed(RATES):
        search.tell((lr,), {CLOCK: (math.inf, 2.0)})
    assert search.best(CLOCK) == (0.001,)
    search.tell((0.03,), {CLOCK: (math.inf, 1.0)})  # no target reached: the loss decides
    assert search.best(CLOCK) == (0.03,)


def test_without_keys_nothing_is_tried():
    search = Search({}, (), 12, seed=0)
    assert search.ask() == []
    assert search.best(CLOCK) == () and search.unsettled(CLOCK) == []
