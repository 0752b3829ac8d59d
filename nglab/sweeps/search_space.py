"""What a tuner chooses from, as Hydra's command line has it.

| override | what is drawn |
|---|---|
| `key=x,y`, `key=choice(x,y)`, `group=glob(*)` | one of the values |
| `key=range(1,5)` | 1, 2, 3 or 4 |
| `key=interval(0.1,1)` | a real number |
| `key=int(interval(1,100))` | a whole number |
| `key=tag(log,interval(1e-4,1))` | a number whose logarithm is spread evenly |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from nglab.errors import InputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class SearchSpace:
    """The keys of a command line in their order, each with its value or None where that is chosen, and from what."""

    given: Mapping[str, str | None]
    distributions: Mapping[str, "BaseDistribution"]

    def overrides(self, chosen: Mapping[str, Any]) -> list[str]:
        """Those of the job for which `chosen` was drawn."""
        return [f"{k}={chosen[k] if v is None else v}" for k, v in self.given.items()]

    def chosen_overrides(self, chosen: Mapping[str, Any]) -> list[str]:
        """What is its own among them."""
        return [f"{key}={chosen[key]}" for key, value in self.given.items() if value is None]


def search_space(words: Sequence[str], loader: ConfigLoader) -> SearchSpace:
    """Of the overrides of a sweep, the later of two for one key; InputError where there is nothing to draw from."""
    last = {
        o.get_key_element(): o for o in OverridesParser.create(loader).parse_overrides(list(words))
    }
    return SearchSpace(
        {k: None if o.is_sweep_override() else o.get_value_element_as_str() for k, o in last.items()},
        {k: distribution(o) for k, o in last.items() if o.is_sweep_override()},
    )  # fmt: skip


def distribution(override: Override) -> "BaseDistribution":
    """What a value of the override is drawn from."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value: Any = override.value()
    try:
        if not is_numeric(override):
            return CategoricalDistribution(list(override.sweep_string_iterator()))
        low, high = ends(override)
        whole = isinstance(low, int) and isinstance(high, int)
        numbers: Any = IntDistribution if whole else FloatDistribution
        if override.is_range_sweep():
            drawn: BaseDistribution = numbers(low, high, step=abs(value.step))
        else:
            drawn = numbers(low, high, log="log" in value.tags)
        return drawn
    except ValueError as error:
        raise InputError(f"{override.input_line}: {error}") from error


def is_numeric(override: Override) -> bool:
    """Whether it is a range of numbers, of which the ends say whether all are right."""
    return bool(override.is_interval_sweep() or override.is_range_sweep())


def ends(override: Override) -> tuple[float, float]:
    """The least and the greatest number of a range."""
    value: Any = override.value()
    if override.is_interval_sweep():
        return value.start, value.end
    numbers = list(value.range())
    return min(numbers), max(numbers)


def at_end(override: Override, end: int) -> Override:
    """The override of the least (0) or the greatest (1) number of a range; another as it is."""
    if not is_numeric(override):
        return override
    word = f"{override.get_key_element()}={ends(override)[end]}"
    parsed: Override = OverridesParser.create().parse_override(word)
    return parsed
