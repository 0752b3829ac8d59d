"""What a race is: methods, problems, targets, and how much each method may be tuned."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Annotated, Any

from annotated_types import Ge, Gt
from omegaconf import DictConfig, OmegaConf

from nglab.settings.building import build, value_of
from nglab.settings.fields import Count, Options, setting
from nglab.settings.messages import demand, near, one_of

CLOCKS = ("examples", "seconds")
"""What a setting may be tuned for: the training examples to the target, or the seconds."""

FINAL = "final loss"
"""What else it may be tuned for: the loss at the end."""

COLUMNS = {
    "times_floor": "{:g} × floor",
    "test_loss": "test loss {:g}",
    "test_error": "test error {:g} %",
}
"""What a target may be of, and how it is called."""


@dataclass(frozen=True)
class Target:
    """Reached by a run once `column` of its rows is at most `value`."""

    column: str
    value: float

    def __str__(self) -> str:
        return COLUMNS[self.column].format(self.value)


@dataclass(frozen=True)
class Tuning:
    """How much every method is tuned on a problem."""

    settings: Annotated[int, Ge(1)] | None = setting("how many settings; null: the whole grid")
    seeds: Count = setting("how many seeds for each of them")
    passes: Annotated[float, Gt(0)] = setting("how long each trains")
    overrides: tuple[str, ...] = setting("of its runs alone", default=())


@dataclass(frozen=True)
class Problem:
    """One column of the picture: what is trained, how long and how often, and which losses are to be reached."""

    arch: str = setting("the option of `nglab run`")
    passes: Annotated[float, Gt(0)] = setting("how long the runs that are reported train")
    seeds: Count = setting("how many of them there are for each method")
    tuning: Tuning = setting("how much is tuned")
    targets: Options = setting("column → values, in order, the hardest last", default_factory=dict)
    overrides: tuple[str, ...] = setting("of all its runs", default=())
    methods: Options = setting("method → overrides of its runs alone", default_factory=dict)
    grids: Options = setting("method → the grid in place of its own", default_factory=dict)
    name: str = field(default="", compare=False)

    @property
    def aims(self) -> list[Target]:
        """The targets, the easiest first."""
        return [Target(column, v) for column, values in self.targets.items() for v in values]

    def command(self, method: str, seed: int) -> list[str]:
        """The overrides of `nglab run` that every run of the method here has."""
        own = self.methods.get(method, [])
        return [f"arch={self.arch}", f"optimizer={method}", *own, *self.overrides, f"seed={seed}"]

    @property
    def of_tuning(self) -> list[str]:
        """The overrides that the tuning runs have beside."""
        return [f"train.passes={self.tuning.passes:g}", *self.tuning.overrides]


@dataclass(frozen=True)
class Race:
    """Methods × problems × seeds. Reported are seeds 0, 1, …; tuned is on `first_tuning_seed` and those after it."""

    methods: list[str]
    problems: list[Problem]
    tuned_for: list[str]
    first_tuning_seed: int
    search_seed: int = 0


def read_race(config: DictConfig) -> Race:
    """`conf/race.yaml` as composed; InputError at the first key that is wrong."""
    values: Any = OmegaConf.to_container(config, resolve=True)
    known = groups_of("problem", values["problem"])
    methods = chosen_of("methods", values["methods"])
    names = chosen_of("problems", values["problems"], known)
    clocks = chosen_of("tuned_for", values["tuned_for"], CLOCKS)
    seeds = value_of(Count | None, values["seeds"], "seeds")
    first = value_of(Count, values["first_tuning_seed"], "first_tuning_seed")
    problems = [problem_of(name, known[name], seeds) for name in names]
    most = max(problem.seeds for problem in problems)
    demand(first >= most, "first_tuning_seed", first,
           f"{most} or more: no seed that is reported")  # fmt: skip
    return Race(methods, problems, clocks, first)


def chosen_of(key: str, given: Any, known: Collection[str] | None = None) -> list[str]:
    """The names that a key lists: one or more, each once, of the `known`."""
    names = list(given) if isinstance(given, list) else [given]
    for name in names:
        right = f"a list of names; {name} is none" if known is None else one_of(known)
        demand(isinstance(name, str) and (known is None or name in known), key, name, right)
    demand(bool(names) and len(set(names)) == len(names), key, given, "one or more, each once")
    return names


def groups_of(key: str, given: Any) -> dict[str, dict[str, Any]]:
    """The groups of settings that a key holds, by name."""
    right = isinstance(given, dict) and all(isinstance(one, dict) for one in given.values())
    demand(right, key, given, "groups of keys by name")
    return dict(given)


def problem_of(name: str, values: Mapping[str, Any], seeds: int | None) -> Problem:
    """One of the problems; `seeds` in place of its own."""
    given = {**values} | ({} if seeds is None else {"seeds": seeds})
    problem: Problem = replace(build(Problem, given, f"problem.{name}"), name=name)
    check_targets(f"problem.{name}.targets", problem.targets)
    return problem


def check_targets(key: str, targets: Mapping[str, Any]) -> None:
    demand(len(targets) > 0, key, dict(targets), f"values of {one_of(COLUMNS)}")
    for column, values in targets.items():
        demand(column in COLUMNS, key, column, f"{one_of(COLUMNS)}; {near(column, list(COLUMNS))}")
        right = "a list of numbers above 0, each less than the one before"
        demand(are_falling(values), f"{key}.{column}", values, right)


def are_falling(values: Any) -> bool:
    """Whether they are numbers above 0, one or more, each less than the one before."""
    listed = isinstance(values, list | tuple) and len(values) > 0
    numbers = listed and all(type(value) in (int, float) for value in values)
    return numbers and all(a > b for a, b in pairwise([*values, 0]))
