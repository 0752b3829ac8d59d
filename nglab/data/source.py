"""Where examples come from: what the runs ask of a data set before and when it is made."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from nglab.data.dataset import Dataset
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.network import Network
from nglab.settings.checked import Settings
from nglab.settings.fields import Count, setting


@dataclass(frozen=True)
class DataSource(Settings):
    """The settings of a data set. A new one says what its targets are and defines `dataset`.

    `targets` is "real", "unit interval" (numbers from 0 to 1) or "classes" (one-hot); `drawn` says whether another
    seed, network or gain makes it another data set.

    Examples (x, y) ~ some law, one a row: x `[1, N, n_0]`, y `[1, N, n_y]`, in whatever unit; losses are means over
    rows. Targets y ≈ f(x) + noise of known variance have a smallest possible loss.

    Raises InputError where a setting is unknown, missing, of another type or out of range, or does not fit the network.

    Source: ours; the data sets name theirs.

    >>> import nglab as ng
    >>> isinstance(ng.Teacher(), DataSource), ng.Teacher().targets
    (True, 'real')
    """

    targets: ClassVar[str]
    drawn: ClassVar[bool]

    train_examples: Count = setting("training examples", paper="10000; 60000 of MNIST")
    test_examples: Count = setting("test examples", paper="1000; 10000 of MNIST")

    @abstractmethod
    def dataset(self, network: Network, gain: float, seed: int) -> Dataset:
        """The examples, x `[1, N, n_0]` and y `[1, N, n_y]`, on the CPU."""

    def check(self, key: str, run: Any) -> None:
        """Raise InputError where the settings, or the rest of the run, do not fit these data."""

    def verify(self) -> None:
        """Raise InputError unless the files that it reads are there, whole and unaltered."""

    def input_moment(self, network: Network, seed: int) -> Tensor | None:
        """Σ = E[x xᵀ] `[n_0, n_0]` of the law of the inputs, where it is known."""
        return None

    def minimum_loss(self, network: Network, likelihood: Likelihood) -> float | None:
        """The smallest h of any network, on average over test sets, where it is known."""
        return None
