"""What every task on the MNIST images shares: the files, the sizes of the splits, the pixels as numbers."""

import os
from contextlib import chdir
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from nglab.data.mnist_files import read, verify
from nglab.data.source import DataSource
from nglab.settings.fields import setting
from nglab.settings.messages import demand

PIXELS = 784
EXAMPLES = {"train": 60_000, "test": 10_000}


@dataclass(frozen=True)
class MnistSource(DataSource):
    """The first examples of each split; x are pixels in [0, 1], float32.

    With `validation` the test examples are the last of the training images: nothing is tuned on the test images.
    """

    drawn: ClassVar[bool] = False

    root: str | None = setting(
        "folder that holds MNIST/raw; null: $NGLAB_DATA, else the user's cache"
    )
    validation: bool = setting(
        "test examples are taken from the end of the training images instead: for tuning"
    )

    made_in: str = field(default_factory=os.getcwd, init=False, compare=False, repr=False)
    """Where a relative `root` lies: the working folder then, whatever folder a job changes to."""

    def check(self, key: str, run: Any) -> None:
        """InputError where a split has fewer examples."""
        for split, most in EXAMPLES.items():
            check_split(f"{key}.{split}_examples", self.examples(split), most)
        self.check_held_out(key, EXAMPLES["train"])

    def check_held_out(self, key: str, images: int) -> None:
        """InputError where training and held-out examples would share some of the training `images`."""
        right = (
            f"at most {images - self.test_examples}: {key}.validation takes the last"
            f" {self.test_examples} of {images} training images"
        )
        fits = not self.validation or self.train_examples + self.test_examples <= images
        demand(fits, f"{key}.train_examples", self.train_examples, right)

    def verify(self) -> None:
        with chdir(self.made_in):
            verify(self.root)

    def examples(self, split: str) -> int:
        return {"train": self.train_examples, "test": self.test_examples}[split]

    def images(self, split: str) -> Tensor:
        """`[1, N, 784]`."""
        return self.part(split, "images").flatten(1).to(torch.float32).div_(255).unsqueeze(0)

    def part(self, split: str, what: str) -> Tensor:
        """What a file of "images" or "labels" holds of a split's examples, `[N, …]`, uint8."""
        examples, held_out = self.examples(split), self.validation and split == "test"
        with chdir(self.made_in):
            values = read(self.root, "train" if held_out else split, what)
        check_split(f"data.{split}_examples", examples, len(values))
        self.check_held_out("data", len(values))
        return values[-examples:] if held_out else values[:examples]


def check_split(key: str, examples: int, most: int) -> None:
    demand(examples <= most, key, examples, f"at most {most}, all MNIST has")
