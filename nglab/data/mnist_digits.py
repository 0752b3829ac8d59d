"""MNIST images as a classifier's data: the target is the digit."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nglab.data.dataset import Dataset
from nglab.data.mnist_source import PIXELS, MnistSource
from nglab.networks.network import Network
from nglab.settings.messages import demand

CLASSES = 10


@dataclass(frozen=True)
class MnistDigits(MnistSource):
    """y is one-hot, `[1, N, 10]`.

    x = pixels / 255 `[N, 784]`, from 0 to 1, without a unit, float32. With `likelihood="categorical"` the loss is the
    cross-entropy, in nats. The files are those that `nglab data mnist` fetches; they are read when a run begins.

    What is left out is as in conf/data/mnist_digits.yaml. Raises InputError where a split has fewer examples, or a file
    is missing or altered.

    Source: LeCun et al. (1998).

    >>> MnistDigits(train_examples=1000, validation=True).targets
    'classes'
    """

    targets: ClassVar[str] = "classes"

    def check(self, key: str, run: Any) -> None:
        widths = list(run.arch.widths)
        since = f"since {key}=mnist_digits is images of {PIXELS} pixels in {CLASSES} classes"
        right = f"{PIXELS} first and {CLASSES} last, {since}"
        demand((widths[0], widths[-1]) == (PIXELS, CLASSES), "arch.widths", widths, right)
        super().check(key, run)

    def dataset(self, network: Network, gain: float, seed: int) -> Dataset:
        """Raises InputError where a file is missing or altered, or a split has fewer examples."""
        self.verify()
        train_x, test_x = self.images("train"), self.images("test")
        return Dataset(train_x, self.digits("train"), test_x, self.digits("test"))

    def digits(self, split: str) -> Tensor:
        """The labels as unit vectors, float32."""
        return torch.eye(CLASSES)[self.part(split, "labels").long()].unsqueeze(0)
