"""MNIST images as an autoencoder's data: they are both input and target."""

from dataclasses import dataclass
from typing import Any, ClassVar

from nglab.data.dataset import Dataset
from nglab.data.mnist_source import PIXELS, MnistSource
from nglab.networks.network import Network
from nglab.settings.messages import demand


@dataclass(frozen=True)
class MnistImages(MnistSource):
    """y is x, the same tensor.

    x = pixels / 255 `[N, 784]`, from 0 to 1, without a unit, float32: the loss of an autoencoder is summed over an
    image's pixels. The files are those that `nglab data mnist` fetches; they are read when a run begins.

    What is left out is as in conf/data/mnist.yaml. Raises InputError where a split has fewer examples, or a file is
    missing or altered.

    Source: LeCun et al. (1998); as data of an autoencoder, Bernacchia et al. (2018), Figure 1D.

    >>> MnistImages(train_examples=1000).test_examples
    10000
    """

    targets: ClassVar[str] = "unit interval"

    def check(self, key: str, run: Any) -> None:
        widths = list(run.arch.widths)
        right = f"{PIXELS} at both ends, since {key}=mnist is images of {PIXELS} pixels"
        demand(widths[0] == widths[-1] == PIXELS, "arch.widths", widths, right)
        super().check(key, run)

    def dataset(self, network: Network, gain: float, seed: int) -> Dataset:
        """Raises InputError where a file is missing or altered, or a split has fewer examples."""
        self.verify()
        train, test = self.images("train"), self.images("test")
        return Dataset(train, train, test, test)
