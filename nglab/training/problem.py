"""What is to be trained: network, data, parameters, method."""

from dataclasses import dataclass

from nglab.data.dataset import Dataset
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.optimizers.optimizer import Optimizer, Streams


@dataclass(frozen=True)
class Problem:
    """Everything a run needs, as plain objects. `members` is None, or in a stack each replica's data set."""

    network: Network
    dataset: Dataset
    params: Layers
    optimizer: Optimizer
    streams: Streams
    members: list[int] | None = None
    cuda_graph: bool = False  # steps are captured
