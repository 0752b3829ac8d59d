"""Five training and three test images in the format of MNIST, made here."""

from pathlib import Path

import torch
from torch import Tensor

TRAIN = (37 * torch.arange(5 * 28 * 28) % 256).to(torch.uint8).view(5, 28, 28)
TEST = 255 - TRAIN[:3]


def idx(values: Tensor) -> bytes:
    """IDX: two zero bytes, type 8 (unsigned byte), rank, big-endian sizes, values."""
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.dim()]) + sizes + bytes(values.flatten().tolist())


CONTENTS = {
    "train-images-idx3-ubyte": idx(TRAIN),
    "train-labels-idx1-ubyte": idx(torch.arange(5)),
    "t10k-images-idx3-ubyte": idx(TEST),
    "t10k-labels-idx1-ubyte": idx(torch.arange(3)),
}


def write(folder: Path, names: list[str] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or CONTENTS:
        (folder / name).write_bytes(CONTENTS[name])
    return folder
