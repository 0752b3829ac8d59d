"""What a run starts from: its parameters and its examples."""

from typing import Any

from nglab.api.configuring import configured
from nglab.data.dataset import Dataset
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.runs import build


def initial_parameters(
    network: Network | str,
    seed: int | None = None,
    *,
    gain: float | None = None,
    dtype: str | None = None,
    device: str | None = None,
) -> Layers:
    """θ before the first step of a run of `seed`: W_i `[n_i, n_{i−1}]` from N(0, g²/n_{i−1}), biases 0.

    The bias, where there is one, is the last column of W_i. What is left out is as in conf/config.yaml: seed 0, gain
    g = 1 (a number without a unit), float64, on a GPU where there is one. No loss is involved.

    Raises InputError where an argument is out of its range.

    Source: ours; Bernacchia et al. (2018) do not name g.

    >>> import nglab as ng
    >>> ng.initial_parameters(ng.Network([4, 4, 4, 3]))
    Layers(2 × [4, 4], [3, 4]; 44 numbers, float64)
    """
    return build.initial_parameters(
        configured(arch=network, seed=seed, dtype=dtype, device=device, init={"gain": gain})
    )


def dataset(
    network: Network | str,
    data: Any,
    seed: int | None = None,
    *,
    gain: float | None = None,
    dtype: str | None = None,
    device: str | None = None,
) -> Dataset:
    """The examples that a run of `seed` trains on and is tested on: x `[N, n_0]`, y `[N, n_L]`, one a row.

    `data` is a source such as `Teacher()`, the name of one ("teacher", "mnist"), or tensors, as `train` takes them.
    What is left out is as in conf/config.yaml. Units are those of the data; the loss of `train` is a mean over them.

    Raises InputError where the data and the network do not fit, or files of MNIST are missing or altered.

    Source: for the teacher, Bernacchia et al. (2018), §5.

    >>> import nglab as ng
    >>> examples = ng.dataset(ng.Network([4, 3]), ng.Teacher(train_examples=100), seed=1)
    >>> examples.train_x.shape, examples.test_y.shape
    (torch.Size([100, 4]), torch.Size([1000, 3]))
    """
    config = configured(
        arch=network, data=data, seed=seed, dtype=dtype, device=device, init={"gain": gain},
        optimizer={"batch_size": 1},
    )  # fmt: skip
    found = build.examples(config)
    return Dataset(found.train_x[0], found.train_y[0], found.test_x[0], found.test_y[0])
