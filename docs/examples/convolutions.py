"""A small convolutional network that reads digits, trained by K-FAC with a schedule of torch.

nglab data mnist                        # fetches the images
python docs/examples/convolutions.py    # a quarter of a minute a pass on one core
"""

import nglab.torch  # before torch: see docs/speed.md

# isort: split
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from nglab.data.mnist_files import read, verify


def digits(split: str) -> tuple[Tensor, Tensor]:
    """Images `[N, 1, 28, 28]` and their classes `[N]`."""
    pixels = read(None, split, "images").unsqueeze(1) / 255
    return pixels, read(None, split, "labels").long()


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * 7 * 7, 10),
    )  # fmt: skip


def main(passes: int = 2, batch_size: int = 500) -> list[float]:
    """The test error in percent after each pass."""
    verify(None)
    torch.manual_seed(0)
    (x, y), (test_x, test_y), model = digits("train"), digits("test"), network()
    optimizer = nglab.torch.KFAC(model, likelihood="categorical")
    schedule = CosineAnnealingLR(optimizer, passes * -(-len(x) // batch_size))
    errors = []
    for done in range(passes):
        for rows in torch.randperm(len(x)).split(batch_size):
            optimizer.step(lambda rows=rows: (model(x[rows]), y[rows]))
            schedule.step()
        with torch.no_grad():
            wrong = model(test_x).argmax(1) != test_y
        errors.append(100 * float(wrong.double().mean()))
        print(f"pass {done + 1}: {errors[-1]:.2f} % wrong", optimizer.diagnostics())
    return errors


if __name__ == "__main__":
    main()
