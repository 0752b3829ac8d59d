"""An autoencoder of handwritten digits, trained by K-FAC as one would train it by Adam.

    nglab data mnist                       # fetches the images
    python docs/examples/autoencoder.py    # half a minute a pass on one core

The loss is ½ ‖x − model(x)‖² an image, which is what likelihood="gaussian" means.
"""

from itertools import pairwise

import nglab.torch  # before torch: see docs/speed.md

# isort: split
import torch
from torch import Tensor, nn

from nglab.data.mnist_files import read, verify

WIDTHS = (784, 400, 200, 100, 50, 100, 200, 400, 784)


def images(split: str) -> Tensor:
    """`[N, 784]`, from 0 to 1."""
    return read(None, split, "images").flatten(1) / 255


def autoencoder() -> nn.Sequential:
    """Linear layers with tanh between them."""
    layers: list[nn.Module] = []
    for n_in, n in pairwise(WIDTHS):
        layers += [nn.Linear(n_in, n), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def main(passes: int = 2, batch_size: int = 500) -> list[float]:
    """The test loss after each pass."""
    verify(None)
    torch.manual_seed(0)
    train, test, model = images("train"), images("test"), autoencoder()
    optimizer = nglab.torch.KFAC(model, likelihood="gaussian")
    losses = []
    for done in range(passes):
        for x in train[torch.randperm(len(train))].split(batch_size):
            optimizer.step(lambda x=x: (model(x), x))
        with torch.no_grad():
            losses.append(0.5 * float((test - model(test)).square().sum(1).mean()))
        print(f"pass {done + 1}: test loss {losses[-1]:.3f}", optimizer.diagnostics())
    return losses


if __name__ == "__main__":
    main()
