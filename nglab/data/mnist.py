"""MNIST images as an autoencoder's data."""

from pathlib import Path

import torch
from torch import Tensor

from nglab.data.mnist_files import _datasets, data_root, verify
from nglab.errors import InputError


def load(
    root: str | Path | None, train_examples: int, test_examples: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """The first examples of each split, train [N, 784] and test [N, 784], pixels in [0, 1].

    Raises InputError when a file is missing or altered, or a split has fewer examples.
    """
    verify(root)
    return (
        _images(data_root(root), "train", train_examples, dtype),
        _images(data_root(root), "test", test_examples, dtype),
    )


def _images(folder: Path, split: str, examples: int, dtype: torch.dtype) -> Tensor:
    images: Tensor = _datasets().MNIST(folder, train=split == "train").data  # [N, 28, 28], 0..255
    if examples > len(images):
        raise InputError(
            f"data.{split}_examples={examples}: MNIST has {len(images)} {split} examples; "
            f"ask for {len(images)} or fewer"
        )
    return images[:examples].flatten(1).to(dtype).div_(255)  # [N, 784]
