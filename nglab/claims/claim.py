"""What a claim is: a function that measures numbers from a stated set-up and says what theory expects of each."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.axes import Axes


@dataclass(frozen=True)
class Check:
    """One measured number and the interval that theory, not a run, puts it in."""

    what: str  # "‖Fδ + ∇h‖ / ‖∇h‖, Eq. 10, square network"
    measured: float
    least: float = float("-inf")
    most: float = float("inf")

    @property
    def holds(self) -> bool:
        """False also for a NaN."""
        return self.least <= self.measured <= self.most

    @property
    def expected(self) -> str:
        """The interval in words: "≤ 1e-10", "≥ 0.01", "0.98 … 1.02", "1 ± 1e-08"."""
        if self.least == float("-inf"):
            return f"≤ {self.most:.3g}"
        if self.most == float("inf"):
            return f"≥ {self.least:.3g}"
        middle, half = (self.least + self.most) / 2, (self.most - self.least) / 2
        if half < 1e-3 * abs(middle):
            return f"{middle:.4g} ± {half:.1g}"
        return f"{self.least:.4g} … {self.most:.4g}"


@dataclass(frozen=True)
class Result:
    """What a claim's function returns: its checks and, where a picture helps, a function that draws it."""

    checks: list[Check]
    draw: Callable[[Axes], None] | None = None
    beside: tuple[Callable[[Axes], None], ...] = ()  # more panels, to the right of it


@dataclass(frozen=True)
class Claim:
    """A statement of one of the papers, with the function that checks it."""

    name: str
    source: str  # "B Eq. 10": B = Bernacchia et al. (2018), M = Martens (2014)
    statement: str  # the first line of the function's docstring
    measure: Callable[[], Result]


CLAIMS: dict[str, Claim] = {}


def claim(name: str, source: str) -> Callable[[Callable[[], Result]], Callable[[], Result]]:
    """Register a function as the check of a claim; its docstring's first line is the statement."""

    def register(measure: Callable[[], Result]) -> Callable[[], Result]:
        statement = (measure.__doc__ or "").strip().splitlines()[0]
        CLAIMS[name] = Claim(name, source, statement, measure)
        return measure

    return register
