"""What a race is: methods, problems, targets, and how much each method may be tuned."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from annotated_types import Ge, Gt
from omegaconf import DictConfig, OmegaConf

from nglab.settings.building import build
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
    known = values["problem"]
    for key, given in (("methods", values["methods"]), ("problems", values["problems"])):
        demand(bool(given) and len(set(given)) == len(given), key, given, "one or more, each once")
    for name in values["problems"]:
        demand(name in known, "problems", name, one_of(known))
    for clock in values["tuned_for"]:
        demand(clock in CLOCKS, "tuned_for", clock, one_of(CLOCKS))
    seeds, first = values["seeds"], values["first_tuning_seed"]
    demand(seeds is None or (isinstance(seeds, int) and seeds > 0), "seeds", seeds, "1 or more")
    problems = [problem_of(name, known[name], seeds) for name in values["problems"]]
    most = max(problem.seeds for problem in problems)
    demand(isinstance(first, int) and first >= most, "first_tuning_seed", first,
           f"{most} or more: no seed that is reported")  # fmt: skip
    return Race(list(map(str, values["methods"])), problems, values["tuned_for"], first)


def problem_of(name: str, values: Mapping[str, Any], seeds: int | None) -> Problem:
    """One of the problems; `seeds` in place of its own."""
    given = {**values} | ({} if seeds is None else {"seeds": seeds})
    problem: Problem = replace(build(Problem, given, f"problem.{name}"), name=name)
    for column, targets in problem.targets.items():
        key = f"problem.{name}.targets"
        demand(
            column in COLUMNS, key, column, f"of {one_of(COLUMNS)}; {near(column, list(COLUMNS))}"
        )
        falling = sorted(targets, reverse=True) == list(targets) and len(targets) > 0
        demand(falling, f"{key}.{column}", targets, "losses, each less than the one before")
    return problem
