"""torchvision's ResNet-18, with GroupNorm, on a few steps of random images: a network that nobody wrote for nglab.

    python docs/examples/resnet.py

Its convolutions and its last layer are trained by natural gradient, the scales and shifts of its norms by Adam. Batch
norm will not do: what it makes of one example depends on the others.
"""

from functools import partial

import nglab.torch  # before torch: see docs/speed.md

# isort: split
import torch
from torch import nn

from nglab.data.torchvision_datasets import datasets


def resnet18(classes: int) -> nn.Module:
    datasets()  # imports torchvision, also beside a build of torch that it was not made for
    from torchvision.models import resnet18

    return resnet18(norm_layer=partial(nn.GroupNorm, 8), num_classes=classes)


def main(steps: int = 10, batch_size: int = 32, pixels: int = 64) -> list[float]:
    """The loss of the one batch before each step."""
    torch.manual_seed(0)
    x, y = torch.randn(batch_size, 3, pixels, pixels), torch.randint(10, (batch_size,))
    model = resnet18(classes=10)
    optimizer = nglab.torch.NGD(
        model, likelihood="categorical", average=0.9, refresh_every=5,
        others=lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
    )  # fmt: skip
    losses = []
    for step in range(steps):
        losses.append(float(optimizer.step(lambda: (model(x), y))))
        print(f"step {step}: loss {losses[-1]:.4f}", optimizer.diagnostics())
    return losses


if __name__ == "__main__":
    main()
