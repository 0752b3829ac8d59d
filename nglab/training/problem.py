"""What is to be trained: network, data, parameters, method."""

from dataclasses import dataclass

from torch import Tensor

from nglab.data.dataset import Dataset
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.optimizers.optimizer import Optimizer, Streams, Task


@dataclass(frozen=True)
class Problem:
    """Everything a run needs, as plain objects. `members` is None, or in a stack each replica's data set."""

    network: Network
    likelihood: Likelihood
    dataset: Dataset
    params: Layers
    optimizer: Optimizer
    streams: Streams
    members: list[int] | None = None
    input_moment: Tensor | None = None  # Σ of the inputs, where the data know it
    cuda_graph: bool = False  # steps are captured
    average: float | None = None  # β of the average of the iterates, where one is kept

    def task(self, steps: int) -> Task:
        """What the method is told, `steps` being planned."""
        return Task(self.network, self.likelihood, steps, self.input_moment)
